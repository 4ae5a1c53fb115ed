/*
 * The board's ACPI tables, handed to the firmware as three fw_cfg files: the tables, the RSDP, and a script
 * that says where to put them, which pointers to add up and which checksums to make.
 *
 * ACPI 6.4: 5.2.5 (RSDP), 5.2.7 (RSDT), 5.2.9 (FADT), 5.2.10 (FACS), 5.2.12 (MADT); the script is the
 * published "etc/table-loader" format of 128-byte commands.  The DSDT comes from dsdt.asl; an SSDT names the
 * processors.
 *
 * Not modelled: HPET, NUMA and hot-plug tables.
 */
#include "board.h"

#include <string.h>
#include "hw/i440fx.h"
#include "util/bits.h"

#define TABLES_FILE "etc/acpi/tables"
#define RSDP_FILE "etc/acpi/rsdp"
#define LOADER_FILE "etc/table-loader"

enum { LOADER_ALLOCATE = 1, LOADER_ADD_POINTER = 2, LOADER_ADD_CHECKSUM = 3, LOADER_COMMAND = 128,
       LOADER_NAME = 56, ZONE_HIGH = 1, ZONE_FSEG = 2 };
enum { HEADER_SIZE = 36, HEADER_LENGTH = 4, HEADER_CHECKSUM = 9, FACS_ALIGN = 64, FACS_SIZE = 64,
       FADT_SIZE = 244, RSDP_SIZE = 36 };
enum { DEFAULT_PM_BASE = 0x600 };       /* where SeaBIOS puts it */
enum { SCI_IRQ = 9, SMI_CMD = 0xb2, ACPI_ENABLE = 0xf1, ACPI_DISABLE = 0xf0, RESET_PORT = 0xcf9,
       RESET_VALUE = 0x06, CENTURY = 0x32 };

typedef struct Tables {
    GByteArray *blob, *rsdp, *loader;
} Tables;

/* ---- writing ---- */

static void put8(GByteArray *a, uint8_t v)
{
    g_byte_array_append(a, &v, 1);
}

static void put16(GByteArray *a, uint16_t v)
{
    g_byte_array_append(a, (uint8_t *)&v, 2);
}

static void put32(GByteArray *a, uint32_t v)
{
    g_byte_array_append(a, (uint8_t *)&v, 4);
}

static void put64(GByteArray *a, uint64_t v)
{
    g_byte_array_append(a, (uint8_t *)&v, 8);
}

static void put_zeros(GByteArray *a, guint n)
{
    guint at = a->len;

    if (n) {                /* nothing at the start of an empty array has no address */
        g_byte_array_set_size(a, at + n);
        memset(a->data + at, 0, n);
    }
}

static void align(GByteArray *a, guint to)
{
    put_zeros(a, (to - a->len % to) % to);
}

/* ---- the loader's script ---- */

static uint8_t *command(Tables *t, uint32_t what)
{
    put_zeros(t->loader, LOADER_COMMAND);
    uint8_t *c = t->loader->data + t->loader->len - LOADER_COMMAND;

    st32le(c, what);
    return c + 4;
}

static void load_file(Tables *t, const char *file, uint32_t alignment, uint8_t zone)
{
    uint8_t *c = command(t, LOADER_ALLOCATE);

    g_strlcpy((char *)c, file, LOADER_NAME);
    st32le(c + LOADER_NAME, alignment);
    c[LOADER_NAME + 4] = zone;
}

/* The size bytes at `at` in `file` hold an offset in the tables: make an address of it. */
static void load_pointer(Tables *t, const char *file, uint32_t at, uint8_t size)
{
    uint8_t *c = command(t, LOADER_ADD_POINTER);

    g_strlcpy((char *)c, file, LOADER_NAME);
    g_strlcpy((char *)c + LOADER_NAME, TABLES_FILE, LOADER_NAME);
    st32le(c + 2 * LOADER_NAME, at);
    c[2 * LOADER_NAME + 4] = size;
}

static void load_checksum(Tables *t, const char *file, uint32_t at, uint32_t start, uint32_t len)
{
    uint8_t *c = command(t, LOADER_ADD_CHECKSUM);

    g_strlcpy((char *)c, file, LOADER_NAME);
    st32le(c + LOADER_NAME, at);
    st32le(c + LOADER_NAME + 4, start);
    st32le(c + LOADER_NAME + 8, len);
}

/* ---- tables ---- */

static guint begin_table(Tables *t, const char *signature, uint8_t revision)
{
    GByteArray *a = t->blob;
    guint start;

    align(a, 8);
    start = a->len;
    g_byte_array_append(a, (const uint8_t *)signature, 4);
    put32(a, 0);                        /* length: end_table() */
    put8(a, revision);
    put8(a, 0);                         /* checksum: the loader */
    g_byte_array_append(a, (const uint8_t *)"TINAMOTINAMPC ", 14);
    put32(a, 1);
    g_byte_array_append(a, (const uint8_t *)"TNMU", 4);
    put32(a, 1);
    return start;
}

static void end_table(Tables *t, guint start)
{
    uint32_t len = t->blob->len - start;

    st32le(t->blob->data + start + HEADER_LENGTH, len);
    load_checksum(t, TABLES_FILE, start + HEADER_CHECKSUM, start, len);
}

static guint add_facs(Tables *t)
{
    align(t->blob, FACS_ALIGN);
    guint start = t->blob->len;

    g_byte_array_append(t->blob, (const uint8_t *)"FACS", 4);
    put32(t->blob, FACS_SIZE);
    put_zeros(t->blob, FACS_SIZE - 8);
    t->blob->data[start + 32] = 1;      /* version */
    return start;
}

/* ORDER: acpi-presence - the bits of PRES in dsdt.asl. */
static uint32_t devices_present(Machine *m)
{
    static const struct { const char *cls; uint64_t port; uint32_t bit; } known[] = {
        { "isa-serial", 0x3f8, 0x01 }, { "isa-serial", 0x2f8, 0x02 }, { "isa-serial", 0x3e8, 0x04 },
        { "isa-serial", 0x2e8, 0x08 }, { "isa-parallel", 0x378, 0x10 }, { "isa-parallel", 0x278, 0x20 },
        { "isa-parallel", 0x3bc, 0x40 }, { "isa-fdc", 0, 0x80 },
    };
    uint32_t bits = 0;

    for (guint i = 0; i < m->devices->len; i++) {
        const Device *d = g_ptr_array_index(m->devices, i);
        uint64_t port = 0;

        for (const Property *p = d->cls->props; p && p->kind != PROP_END; p++) {
            if (!strcmp(p->name, "iobase")) {
                g_autofree char *text = property_get(d, p);

                port = g_ascii_strtoull(text, NULL, 0);
            }
        }
        for (unsigned k = 0; k < G_N_ELEMENTS(known); k++) {
            if (!strcmp(d->cls->name, known[k].cls) && (known[k].port == 0 || known[k].port == port)) {
                bits |= known[k].bit;
            }
        }
    }
    return bits;
}

/* Name (NAME, 0x12345678) compiled: NameOp, the name, DWordPrefix, the value (ACPI 6.4, 20.2.5.1). */
static void patch_name(uint8_t *aml, size_t len, const char *name, uint32_t val)
{
    for (size_t i = 0; i + 10 <= len; i++) {
        if (aml[i] == 0x08 && !memcmp(aml + i + 1, name, 4) && aml[i + 5] == 0x0c) {
            st32le(aml + i + 6, val);
            return;
        }
    }
    g_assert_not_reached();             /* dsdt.asl and this file belong together */
}

static guint add_dsdt(Tables *t, PcBoard *b, uint16_t pm_base)
{
    align(t->blob, 8);
    guint start = t->blob->len;

    g_byte_array_append(t->blob, pc_dsdt_aml, pc_dsdt_aml_size);
    uint8_t *aml = t->blob->data + start;

    aml[HEADER_CHECKSUM] = 0;
    patch_name(aml, pc_dsdt_aml_size, "PRES", devices_present(b->dev.machine));
    patch_name(aml, pc_dsdt_aml_size, "HOLE", b->below_4g);
    patch_name(aml, pc_dsdt_aml_size, "PMIO", pm_base);
    load_checksum(t, TABLES_FILE, start + HEADER_CHECKSUM, start, pc_dsdt_aml_size);
    return start;
}

/* Generic address structure of an I/O register (5.2.3.2). */
static void put_io_address(GByteArray *a, uint8_t bits, uint16_t port)
{
    put8(a, 1);
    put8(a, bits);
    put8(a, 0);
    put8(a, bits / 16 + 1);             /* access size: 1 byte, 2 word, 3 double word */
    put64(a, port);
}

static guint add_fadt(Tables *t, guint facs, guint dsdt, uint16_t pm_base)
{
    enum { WBINVD = 1 << 0, PROC_C1 = 1 << 2, SLP_BUTTON = 1 << 5, FIX_RTC = 1 << 6,
           RESET_REG_SUP = 1 << 10 };
    enum { LEGACY_DEVICES = 1 << 0, HAS_8042 = 1 << 1 };
    GByteArray *a = t->blob;
    guint start = begin_table(t, "FACP", 3);

    put32(a, facs);
    load_pointer(t, TABLES_FILE, start + 36, 4);
    put32(a, dsdt);
    load_pointer(t, TABLES_FILE, start + 40, 4);
    put8(a, 0);
    put8(a, 1);                         /* preferred profile: desktop */
    put16(a, SCI_IRQ);
    put32(a, SMI_CMD);
    put8(a, ACPI_ENABLE);
    put8(a, ACPI_DISABLE);
    put8(a, 0);                         /* S4BIOS */
    put8(a, 0);                         /* processor performance */
    put32(a, pm_base);                  /* PM1a events */
    put32(a, 0);
    put32(a, pm_base + 4);              /* PM1a control */
    put32(a, 0);
    put32(a, 0);                        /* PM2 control */
    put32(a, pm_base + 8);              /* PM timer */
    put32(a, pm_base + 0xc);            /* GPE0 */
    put32(a, 0);
    put8(a, 4);                         /* their lengths */
    put8(a, 2);
    put8(a, 0);
    put8(a, 4);
    put8(a, 4);
    put8(a, 0);
    put8(a, 0);                         /* GPE1 base */
    put8(a, 0);                         /* _CST */
    put16(a, 0xfff);                    /* no C2, no C3 */
    put16(a, 0xfff);
    put16(a, 0);
    put16(a, 0);
    put8(a, 0);
    put8(a, 0);
    put8(a, 0);                         /* day and month alarm */
    put8(a, 0);
    put8(a, CENTURY);
    put16(a, LEGACY_DEVICES | HAS_8042);
    put8(a, 0);
    put32(a, WBINVD | PROC_C1 | SLP_BUTTON | FIX_RTC | RESET_REG_SUP);
    put_io_address(a, 8, RESET_PORT);
    put8(a, RESET_VALUE);
    put_zeros(a, 3);
    put64(a, 0);                        /* the FACS has its pointer above: one of the two */
    put64(a, dsdt);
    load_pointer(t, TABLES_FILE, start + 140, 8);
    put_io_address(a, 32, pm_base);
    put_zeros(a, 12);
    put_io_address(a, 16, pm_base + 4);
    put_zeros(a, 12);
    put_zeros(a, 12);
    put_io_address(a, 32, pm_base + 8);
    put_io_address(a, 32, pm_base + 0xc);
    put_zeros(a, 12);
    g_assert(a->len - start == FADT_SIZE);
    end_table(t, start);
    return start;
}

static void put_override(GByteArray *a, uint8_t irq, uint32_t gsi, uint16_t flags)
{
    put8(a, 2);
    put8(a, 10);
    put8(a, 0);                         /* ISA */
    put8(a, irq);
    put32(a, gsi);
    put16(a, flags);
}

static guint add_madt(Tables *t, const GPtrArray *vcpus)
{
    enum { PCAT_COMPAT = 1, LEVEL_HIGH = 0x0d };
    static const uint8_t level_irqs[] = { 5, SCI_IRQ, 10, 11 };     /* SCI, and where PIRQs are routed */
    GByteArray *a = t->blob;
    guint start = begin_table(t, "APIC", 3);

    put32(a, 0xfee00000);
    put32(a, PCAT_COMPAT);
    for (unsigned i = 0; i < vcpus->len; i++) {
        put8(a, 0);                     /* local APIC */
        put8(a, 8);
        put8(a, i);
        put8(a, (uint8_t)((const Vcpu *)g_ptr_array_index(vcpus, i))->apic_id);
        put32(a, 1);
    }
    put8(a, 1);                         /* I/O APIC */
    put8(a, 12);
    put8(a, 0);
    put8(a, 0);
    put32(a, 0xfec00000);
    put32(a, 0);
    put_override(a, 0, 2, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(level_irqs); i++) {
        put_override(a, level_irqs[i], level_irqs[i], LEVEL_HIGH);
    }
    put8(a, 4);                         /* NMI: LINT1 of all processors */
    put8(a, 6);
    put8(a, 0xff);
    put16(a, 0);
    put8(a, 1);
    end_table(t, start);
    return start;
}

/* Scope (\_SB) { Processor (C00x, x, 0, 0) {} ... }: some systems look for processors here. */
static guint add_ssdt(Tables *t, unsigned cpus)
{
    enum { SCOPE_OP = 0x10, EXT_OP = 0x5b, PROCESSOR_OP = 0x83, PROCESSOR_SIZE = 13 };
    static const char hex[] = "0123456789ABCDEF";
    GByteArray *a = t->blob;
    guint start = begin_table(t, "SSDT", 1);
    unsigned len = 2 + 5 + cpus * PROCESSOR_SIZE;       /* the package length counts itself: two bytes */

    put8(a, SCOPE_OP);
    put8(a, 0x40 | (len & 0xf));
    put8(a, len >> 4);
    g_byte_array_append(a, (const uint8_t *)"\\_SB_", 5);
    for (unsigned i = 0; i < cpus; i++) {
        put8(a, EXT_OP);
        put8(a, PROCESSOR_OP);
        put8(a, PROCESSOR_SIZE - 2);
        g_byte_array_append(a, (const uint8_t[]){ 'C', '0', hex[i >> 4 & 15], hex[i & 15] }, 4);
        put8(a, i);
        put32(a, 0);
        put8(a, 0);
    }
    end_table(t, start);
    return start;
}

/* RSDT with 4-byte pointers, XSDT with 8-byte ones. */
static guint add_root(Tables *t, const char *signature, uint8_t size, const guint *tables, unsigned n)
{
    guint start = begin_table(t, signature, 1);

    for (unsigned i = 0; i < n; i++) {
        guint at = t->blob->len;

        put_zeros(t->blob, size);
        st32le(t->blob->data + at, tables[i]);
        load_pointer(t, TABLES_FILE, at, size);
    }
    end_table(t, start);
    return start;
}

static void add_rsdp(Tables *t, guint rsdt, guint xsdt)
{
    GByteArray *a = t->rsdp;

    g_byte_array_append(a, (const uint8_t *)"RSD PTR ", 8);
    put8(a, 0);
    g_byte_array_append(a, (const uint8_t *)"TINAMO", 6);
    put8(a, 2);
    put32(a, rsdt);
    put32(a, RSDP_SIZE);
    put64(a, xsdt);
    put8(a, 0);
    put_zeros(a, 3);
    load_pointer(t, RSDP_FILE, 16, 4);
    load_pointer(t, RSDP_FILE, 24, 8);
    load_checksum(t, RSDP_FILE, 8, 0, 20);
    load_checksum(t, RSDP_FILE, 32, 0, RSDP_SIZE);
}

/* The tables name ports that the firmware chooses and devices that come after the board: their contents are
 * made when they are read.  Their sizes depend only on the number of processors. */
static void make_tables(PcBoard *b, Tables *t)
{
    uint16_t pm_base = piix4_pm_base(b->pm);
    unsigned cpus = b->dev.machine->vcpus->len;
    guint tables[3], facs, dsdt, rsdt, xsdt;

    pm_base = pm_base ? pm_base : DEFAULT_PM_BASE;
    *t = (Tables){ g_byte_array_new(), g_byte_array_new(), g_byte_array_new() };
    load_file(t, RSDP_FILE, 16, ZONE_FSEG);
    load_file(t, TABLES_FILE, FACS_ALIGN, ZONE_HIGH);
    facs = add_facs(t);
    dsdt = add_dsdt(t, b, pm_base);
    tables[0] = add_fadt(t, facs, dsdt, pm_base);
    tables[1] = add_madt(t, b->dev.machine->vcpus);
    tables[2] = add_ssdt(t, cpus);
    rsdt = add_root(t, "RSDT", 4, tables, G_N_ELEMENTS(tables));
    xsdt = add_root(t, "XSDT", 8, tables, G_N_ELEMENTS(tables));
    add_rsdp(t, rsdt, xsdt);
}

static bool publish(PcBoard *b, GError **errp)
{
    Tables t;
    bool ok;

    make_tables(b, &t);
    ok = fw_cfg_add_file(b->fw_cfg, TABLES_FILE, t.blob->data, t.blob->len, errp) &&
         fw_cfg_add_file(b->fw_cfg, RSDP_FILE, t.rsdp->data, t.rsdp->len, errp) &&
         fw_cfg_add_file(b->fw_cfg, LOADER_FILE, t.loader->data, t.loader->len, errp);
    g_byte_array_unref(t.blob);
    g_byte_array_unref(t.rsdp);
    g_byte_array_unref(t.loader);
    return ok;
}

static void refresh(void *opaque)
{
    publish(opaque, NULL);              /* the files are there: nothing can fail */
}

bool pc_acpi_init(PcBoard *b, GError **errp)
{
    if (!publish(b, errp)) {
        return false;
    }
    fw_cfg_on_select(b->fw_cfg, TABLES_FILE, refresh, b);
    return true;
}
