/*
 * system/doctor.h - `tinamou doctor`.
 */
#ifndef SYSTEM_DOCTOR_H
#define SYSTEM_DOCTOR_H

#include <glib.h>
#include <stdbool.h>

bool doctor(GString *out);      /* the report; true: guests can run */

#endif
