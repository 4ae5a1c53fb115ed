/*
 * hw/rtc.h - what a board tells the real-time clock chip "mc146818rtc".  With the machine lock held.
 *
 *     rtc = device_make(m, "mc146818rtc", NULL, isa, "base=SECONDS_SINCE_1970", errp);
 */
#ifndef HW_RTC_H
#define HW_RTC_H

#include <stdint.h>
#include "core/device.h"

/* Battery-backed bytes, 0x0e..0x7f (memory sizes, drive types, boot order): they survive a reset. */
void rtc_set_cmos(Device *rtc, uint8_t reg, uint8_t val);

#endif
