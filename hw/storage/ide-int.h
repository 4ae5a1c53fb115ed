/*
 * An IDE channel and its drives, as the files of this folder share them.
 *
 *     ide-channel.c   task file, selection, interrupt, data port, resets: what ATA and ATAPI have in common
 *     ata.c           the disk's commands (ata-identify.c: its IDENTIFY and SMART data)
 *     atapi.c         the CD-ROM's PACKET protocol; atapi-read.c, atapi-info.c: its commands
 *     piix3-ide.c     the PCI function: where channels appear, and bus-master DMA
 *
 * A drive runs one command at a time, and has at most one block request in flight.  A reset does not
 * take a request back: the drive stays busy until it is done, and then forgets it.
 */
#ifndef HW_STORAGE_IDE_INT_H
#define HW_STORAGE_IDE_INT_H

#include "block/block.h"
#include "core/device.h"
#include "core/machine.h"
#include "hw/ide.h"

enum {                              /* ATA/ATAPI-8 ACS, section 6: Status, Error, Device, Device Control */
    STATUS_ERR = 1 << 0, STATUS_DRQ = 1 << 3, STATUS_DSC = 1 << 4, STATUS_DF = 1 << 5,
    STATUS_DRDY = 1 << 6, STATUS_BSY = 1 << 7,
    STATUS_READY = STATUS_DRDY | STATUS_DSC,
    ERROR_ABRT = 1 << 2, ERROR_IDNF = 1 << 4, ERROR_UNC = 1 << 6, ERROR_DIAG_PASSED = 0x01,
    DEVICE_DEV = 1 << 4, DEVICE_LBA = 1 << 6, DEVICE_OBSOLETE = 0xa0, DEVICE_HEAD = 0x0f,
    CONTROL_NIEN = 1 << 1, CONTROL_SRST = 1 << 2, CONTROL_HOB = 1 << 7,
};

enum { ATA_SECTOR = 512, CD_SECTOR = 2048, IDE_BUFFER = 128 * 1024 };
enum { PACKET_BYTES = 12, ATA_MULTIPLE_MAX = 16 };

typedef enum IdePhase {             /* what the drive waits for */
    IDE_IDLE,                       /* a command */
    IDE_MEDIA,                      /* its block request: BSY */
    IDE_TO_HOST, IDE_FROM_HOST,     /* the data port: DRQ */
    IDE_PACKET,                     /* the data port: a command packet */
    IDE_DMA,                        /* the bus master */
    IDE_PHASES
} IdePhase;

typedef struct IdeDrive IdeDrive;
typedef struct IdeChannel IdeChannel;

/* What makes a drive a disk or a CD-ROM. */
typedef struct IdeKind {
    const char *default_model;
    uint8_t signature[2];           /* LBA mid and high after reset */
    uint8_t reset_status;
    void (*command)(IdeDrive *d, uint8_t cmd);
    void (*data_done)(IdeDrive *d);             /* the host has moved [pos, end) of the buffer */
    void (*media_done)(IdeDrive *d, int err);   /* the block request is done */
    void (*dma)(IdeDrive *d);                   /* phase IDE_DMA, and the bus master is started */
    void (*reset)(IdeDrive *d, bool power_on);
} IdeKind;

/* The bus master's side of a DMA command. */
typedef struct IdeDmaOps {
    bool (*active)(void *dma);
    /* Between buf and the memory of the descriptors; less than len when they end or are bad. */
    size_t (*move)(void *dma, void *buf, size_t len, bool to_memory);
    void (*interrupt)(void *dma);               /* INTRQ rose */
} IdeDmaOps;

typedef struct IdeRegs {            /* two deep for 48-bit commands: [0] written last, [1] before it */
    uint8_t feature[2], count[2], lba_low[2], lba_mid[2], lba_high[2];
} IdeRegs;

struct IdeChannel {                 /* embedded in the controller */
    Bus bus;
    IdeDrive *drives[IDE_UNITS];
    unsigned number;
    uint8_t device, control;        /* both drives see one Device register */
    bool diagnosing;                /* SRST is held */
    IrqWire irq;
    const IdeDmaOps *dma_ops;
    void *dma;
    Region command_io, control_io;
};

typedef struct AtaDisk {            /* what only a disk has */
    uint64_t sectors;               /* of the medium */
    uint16_t cylinders;             /* as translated now */
    uint8_t heads, track_sectors;
    uint8_t multiple;               /* sectors a DRQ block of READ MULTIPLE; 0: off */
    uint8_t transfer_mode;          /* SET FEATURES 03h value */
    uint8_t power;                  /* CHECK POWER MODE answer */
    bool write_cache, read_ahead, smart, asleep;
    /* the command in progress */
    uint64_t lba;                   /* of the first sector not yet moved between medium and buffer */
    uint32_t left;                  /* sectors from there */
    uint32_t chunk;                 /* sectors of the block request, or of the buffer being filled */
    uint32_t chunk_max;             /* 1 after an error, to find the sector */
    uint8_t drq_sectors;
    bool writes, dma, extended, verify, flush_after, flushing;
} AtaDisk;

typedef struct CdRom {              /* what only a CD-ROM has */
    uint8_t packet[PACKET_BYTES];
    uint8_t sense_key, asc, ascq;
    bool locked, tray_open;
    bool attention, attention_is_reset;         /* unit attention to report: a reset, or a new medium */
    uint8_t event;                  /* for GET EVENT STATUS NOTIFICATION */
    uint8_t page_01[12], page_0e[16];           /* what MODE SELECT may change */
    /* the command in progress */
    uint32_t lba, blocks;           /* next sector to read, and how many */
    uint32_t chunk, chunk_max;      /* blocks of the block request; 1 at most after an error */
    uint32_t limit;                 /* byte count limit of the PIO phase */
    bool dma, raw, from_host;
    bool identifying;               /* IDENTIFY PACKET DEVICE: plain PIO, without an end interrupt */
} CdRom;

struct IdeDrive {
    Device dev;
    const IdeKind *kind;
    IdeChannel *channel;
    /* properties */
    Block *block;
    uint8_t unit;
    char *serial, *model, *ver;
    uint32_t boot_index;

    BlockDrive drive;
    bool owns_block, listed;
    BlockReq req;
    bool in_flight, stale;          /* stale: the request outlived its command */
    IdeRegs regs;
    uint8_t status, error, command;
    bool intrq;
    uint8_t phase;
    uint32_t pos, end, fill;        /* buffer: next byte of the data port, end of DRQ block, end of data */
    uint8_t buf[IDE_BUFFER];
    AtaDisk ata;
    CdRom cd;
};

extern const IdeKind ata_kind, atapi_kind;

/* ide-channel.c */
void ide_channel_init(IdeChannel *c, Device *controller, unsigned number, const IdeDmaOps *ops, void *dma);
void ide_channel_fini(IdeChannel *c);
void ide_channel_reset(IdeChannel *c);
void ide_channel_dma_started(IdeChannel *c);
void ide_update_irq(IdeChannel *c);
void ide_raise(IdeDrive *d);                    /* INTRQ for this drive */
void ide_set_signature(IdeDrive *d);
void ide_reset_drive(IdeDrive *d, bool power_on);
/* Ends of a command: with status and error; with or without an interrupt. */
void ide_finish(IdeDrive *d, bool interrupt);
void ide_fail(IdeDrive *d, uint8_t error);
/* The data port has [pos, end) to move. */
void ide_offer(IdeDrive *d, IdePhase phase, uint32_t end, bool interrupt);
void ide_submit(IdeDrive *d, BlockOp op, uint64_t offset, void *buf, uint64_t len);
void ide_wait_dma(IdeDrive *d);                 /* enter IDE_DMA, and go on at once if it is active */
static inline size_t ide_dma_move(IdeDrive *d, void *buf, size_t len, bool to_memory)
{
    return d->channel->dma_ops->move(d->channel->dma, buf, len, to_memory);
}

/* ide-drive.c: n bytes of a text field of IDENTIFY data; words hold their first character high */
void ide_put_text(uint8_t *at, const char *text, size_t n);

/* ata-identify.c */
void ata_identify(const IdeDrive *d, uint8_t *out);             /* 512 bytes */
void ata_geometry(uint64_t sectors, AtaDisk *a);
void ata_log_directory(uint8_t *out);
void ata_smart_data(uint8_t *out);
void ata_smart_thresholds(uint8_t *out);
bool ata_smart_log(uint8_t *out, uint8_t address);          /* false: no such log */

/* atapi.c: how a packet command answers */
void atapi_good(IdeDrive *d);
void atapi_check(IdeDrive *d, uint8_t key, uint8_t asc, uint8_t ascq);
void atapi_reply(IdeDrive *d, uint32_t len, uint32_t allocation);       /* data is in buf */
void atapi_receive(IdeDrive *d, uint32_t len);                          /* parameter list from the host */
void atapi_read_blocks(IdeDrive *d, uint32_t lba, uint32_t blocks, bool raw);
uint32_t atapi_blocks(const IdeDrive *d);                               /* of the medium; 0: none */
bool atapi_has_medium(const IdeDrive *d);
bool atapi_change(BlockDrive *drive, Block *medium, bool force, GError **errp);     /* BlockDrive.change */
bool atapi_locked(BlockDrive *drive);

enum { SENSE_NONE = 0, SENSE_NOT_READY = 2, SENSE_MEDIUM_ERROR = 3, SENSE_ILLEGAL_REQUEST = 5,
       SENSE_UNIT_ATTENTION = 6 };
enum { ASC_INVALID_OPCODE = 0x20, ASC_LBA_OUT_OF_RANGE = 0x21, ASC_INVALID_FIELD = 0x24,
       ASC_INVALID_PARAMETER = 0x26, ASC_MEDIUM_CHANGED = 0x28, ASC_RESET = 0x29,
       ASC_SAVING_NOT_SUPPORTED = 0x39, ASC_NO_MEDIUM = 0x3a, ASC_READ_ERROR = 0x11,
       ASC_REMOVAL_PREVENTED = 0x53, ASC_ILLEGAL_MODE = 0x64 };

/* atapi-info.c: commands that answer from tables; the packet is in cd.packet, the answer goes to buf */
void atapi_inquiry(IdeDrive *d);
void atapi_request_sense(IdeDrive *d);
void atapi_mode_sense(IdeDrive *d);
void atapi_mode_select(IdeDrive *d);
void atapi_mode_selected(IdeDrive *d, uint32_t len);
void atapi_read_toc(IdeDrive *d);
void atapi_read_capacity(IdeDrive *d);
void atapi_read_subchannel(IdeDrive *d);
void atapi_read_disc_info(IdeDrive *d);
void atapi_mechanism_status(IdeDrive *d);
void atapi_get_configuration(IdeDrive *d);
void atapi_get_event_status(IdeDrive *d);
void atapi_identify(const IdeDrive *d, uint8_t *out);           /* IDENTIFY PACKET DEVICE, 512 bytes */

#endif
