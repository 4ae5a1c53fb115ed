/*
 * The floppy controller and its drives, as the files of this folder share them.
 *
 *     fdc.c            registers, phases of a command, resets
 *     fdc-commands.c   the table of commands; seeks and the small ones
 *     fdc-transfer.c   commands that move data: read, write, verify, format, read ID
 *     floppy.c         drives and media: formats by size, disk change, what the user inserts
 */
#ifndef HW_STORAGE_FDC_INT_H
#define HW_STORAGE_FDC_INT_H

#include "block/block.h"
#include "core/device.h"
#include "core/machine.h"
#include "hw/isa.h"

enum { FLOPPY_DRIVES = 2, FDC_UNITS = 4, FLOPPY_SECTOR = 512, FDC_FIFO = 16, FDC_TRACK_MAX = 85,
       FDC_BUFFER = 2 * 36 * FLOPPY_SECTOR };   /* a cylinder of 2.88 MB */

enum {                              /* 82077AA data sheet, section 6: status registers */
    ST0_HEAD = 1 << 2, ST0_EC = 1 << 4, ST0_SE = 1 << 5, ST0_ABNORMAL = 1 << 6, ST0_INVALID = 2 << 6,
    ST0_READY_CHANGED = 3 << 6,
    ST1_MA = 1 << 0, ST1_NW = 1 << 1, ST1_ND = 1 << 2, ST1_OR = 1 << 4, ST1_DE = 1 << 5, ST1_EN = 1 << 7,
    ST2_WC = 1 << 4, ST2_DD = 1 << 5, ST2_CM = 1 << 6,
    ST3_HEAD = 1 << 2, ST3_TWO_SIDED = 1 << 3, ST3_TRACK_0 = 1 << 4, ST3_READY = 1 << 5, ST3_WP = 1 << 6,
};

enum { CMD_MT = 1 << 7, CMD_SK = 1 << 5 };  /* flags in the first command byte */

typedef enum FdcPhase {
    FDC_COMMAND,                    /* takes command bytes */
    FDC_EXECUTE,                    /* waits for the timer, then for the block request */
    FDC_TO_HOST, FDC_FROM_HOST,     /* data bytes through the FIFO register: non-DMA mode */
    FDC_RESULT,                     /* gives result bytes */
    FDC_PHASES
} FdcPhase;

typedef struct FloppyFormat {
    uint16_t sectors;
    uint8_t cylinders, heads, track_sectors;
    uint8_t rates;                  /* bit n: readable at data rate n of CCR */
    uint8_t cmos_type;              /* of the drive that fits it: RTC byte 10h */
    const char *name;
} FloppyFormat;

typedef struct Floppy {             /* a drive */
    Block *block;                   /* its medium; NULL: none */
    const FloppyFormat *format;     /* of the medium */
    BlockDrive drive;
    char *name;
    bool owns_block;
    bool changed;                   /* the DSKCHG line */
    uint8_t track;                  /* where the head is */
    uint8_t next_id;                /* the sector that READ ID meets next, from 0 */
} Floppy;

typedef struct Fdc {
    Device dev;
    uint16_t port;
    uint8_t irq_line, dma_channel;
    Region io, io7;
    IrqWire irq;
    Floppy floppy[FLOPPY_DRIVES];

    uint8_t dor, tdr, dsr;          /* dsr: data rate in its low bits, also set through CCR */
    uint8_t specify[2];             /* SRT and HUT, HLT and ND */
    uint8_t config, precompensation_track, perpendicular;
    bool lock;
    bool interrupt;                 /* INT, before the gate in DOR */
    uint8_t phase;
    uint8_t fifo[FDC_FIFO];         /* command and result bytes */
    uint8_t fifo_pos, fifo_len;
    uint8_t present_cylinder[FDC_UNITS];
    uint8_t seek_to[FDC_UNITS];
    bool seeking[FDC_UNITS], recalibrating[FDC_UNITS];
    uint8_t sense[FDC_UNITS];       /* ST0 that SENSE INTERRUPT STATUS gives; 0: nothing */
    Timer seek_timer[FDC_UNITS], execute_timer, reset_timer;
    /* the data command in progress */
    uint8_t cylinder, head, sector; /* of the next sector to move; sectors count from 1 */
    uint8_t eot;                    /* for DUMPREG, which tells the last one */
    uint8_t st1, st2;               /* set while data moves, reported at its end */
    uint32_t pos, len;              /* of the buffer */
    uint8_t buf[FDC_BUFFER];
    BlockReq req;
    bool in_flight, stale;          /* stale: its command was reset */
} Fdc;

/* fdc.c */
void fdc_update_irq(Fdc *f);
void fdc_set_interrupt(Fdc *f, bool on);
void fdc_await_command(Fdc *f);
void fdc_result(Fdc *f, unsigned len, bool interrupt);
static inline unsigned fdc_unit(const Fdc *f) { return f->fifo[1] & 3; }
static inline Floppy *fdc_floppy(Fdc *f, unsigned unit)
{
    return unit < FLOPPY_DRIVES ? &f->floppy[unit] : NULL;
}

/* fdc-commands.c */
void fdc_write_command(Fdc *f, uint8_t val);    /* a byte in the command phase */
void fdc_execute(Fdc *f); /* the command in fifo[]; waits for a request that was reset */
void fdc_seek_done(Fdc *f, unsigned unit);
void fdc_move_head(Fdc *f, unsigned unit, uint8_t cylinder);

/* fdc-transfer.c: FDC_EXECUTE begins, for the command in fifo[] */
void fdc_read_data(Fdc *f);
void fdc_read_deleted(Fdc *f);
void fdc_read_track(Fdc *f);
void fdc_write_data(Fdc *f);
void fdc_verify(Fdc *f);
void fdc_format_track(Fdc *f);
void fdc_read_id(Fdc *f);
/* A byte of the data phase through the FIFO register. */
uint8_t fdc_data_read(Fdc *f);
void fdc_data_write(Fdc *f, uint8_t val);

/* floppy.c */
bool floppy_init(Floppy *d, Device *fdc, unsigned number, GError **errp);
void floppy_fini(Floppy *d, Machine *m);
bool floppy_readable(const Fdc *f, const Floppy *d);    /* a medium is in, and its rate is set */

#endif
