/*
 * The ACPI tables, put into memory as the firmware does it by the loader's script: checksums, pointers, what
 * they say of the machine, and that iasl reads them.
 */
#include "board_harness.h"

#include "util/bits.h"

enum { COMMAND = 128, TABLES_AT = 0x3f000000, RSDP_AT = 0xf0000 };

typedef struct Tables {
    uint8_t *tables, *rsdp;
    size_t tables_len, rsdp_len;
} Tables;

static uint8_t sum(const uint8_t *p, size_t len)
{
    uint8_t s = 0;

    while (len--) {
        s += *p++;
    }
    return s;
}

static uint8_t *file_data(Tables *t, const uint8_t *name, size_t *len)
{
    bool rsdp = !strcmp((const char *)name, "etc/acpi/rsdp");

    g_assert_true(rsdp || !strcmp((const char *)name, "etc/acpi/tables"));
    *len = rsdp ? t->rsdp_len : t->tables_len;
    return rsdp ? t->rsdp : t->tables;
}

static void run_command(Tables *t, const uint8_t *c)
{
    size_t len;
    uint8_t *file = file_data(t, c + 4, &len);

    switch (ld32le(c)) {
    case 1:
        g_assert_cmpuint(ld32le(c + 60) & (ld32le(c + 60) - 1), ==, 0);
        break;
    case 2: {
        uint32_t at = ld32le(c + 116);
        uint64_t val = 0;

        g_assert_cmpuint(at + c[120], <=, len);
        memcpy(&val, file + at, c[120]);
        g_assert_cmpuint(val, <, t->tables_len);
        val += TABLES_AT;
        memcpy(file + at, &val, c[120]);
        break;
    }
    case 3: {
        uint32_t at = ld32le(c + 60), start = ld32le(c + 64), n = ld32le(c + 68);

        g_assert_cmpuint(start + n, <=, len);
        g_assert_cmpuint(at, <, len);
        file[at] = 0;
        file[at] = -sum(file + start, n);
        break;
    }
    default:
        g_assert_not_reached();
    }
}

static void link_tables(Board *b, Tables *t)
{
    FwCfg *f = machine_service(b->m, "fw_cfg");
    size_t len;
    const void *data = fw_cfg_file(f, "etc/acpi/tables", &t->tables_len);

    t->tables = g_memdup2(data, t->tables_len);
    data = fw_cfg_file(f, "etc/acpi/rsdp", &t->rsdp_len);
    t->rsdp = g_memdup2(data, t->rsdp_len);
    const uint8_t *script = fw_cfg_file(f, "etc/table-loader", &len);
    g_assert_cmpuint(len % COMMAND, ==, 0);
    for (size_t i = 0; i < len; i += COMMAND) {
        run_command(t, script + i);
    }
}

static void tables_free(Tables *t)
{
    g_free(t->tables);
    g_free(t->rsdp);
}

static const uint8_t *at_address(const Tables *t, uint64_t at)
{
    g_assert_cmphex(at, >=, TABLES_AT);
    g_assert_cmphex(at, <, TABLES_AT + t->tables_len);
    return t->tables + (at - TABLES_AT);
}

static const uint8_t *find_table(const Tables *t, const char *signature)
{
    const uint8_t *xsdt = at_address(t, ld64le(t->rsdp + 24)), *rsdt = at_address(t, ld32le(t->rsdp + 16));
    unsigned n = (ld32le(xsdt + 4) - 36) / 8;

    g_assert_cmpuint((ld32le(rsdt + 4) - 36) / 4, ==, n);
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *table = at_address(t, ld64le(xsdt + 36 + 8 * i));

        g_assert_cmphex(ld32le(rsdt + 36 + 4 * i), ==, ld64le(xsdt + 36 + 8 * i));
        g_assert_cmpuint(sum(table, ld32le(table + 4)), ==, 0);
        if (!memcmp(table, signature, 4)) {
            return table;
        }
    }
    return NULL;
}

static void test_links_and_checksums(void)
{
    Board b;
    Tables t;

    board_open(&b, 3);
    b.vcpu[2].apic_id = 4;                                  /* of another package */
    PcConfig cfg = board_config(&b);
    g_assert_true(board_build(&b, &cfg, NULL));
    link_tables(&b, &t);
    g_assert_cmpmem(t.rsdp, 8, "RSD PTR ", 8);
    g_assert_cmpuint(sum(t.rsdp, 20), ==, 0);
    g_assert_cmpuint(sum(t.rsdp, 36), ==, 0);

    const uint8_t *fadt = find_table(&t, "FACP");
    g_assert_cmpuint(ld32le(fadt + 4), ==, 244);
    g_assert_cmpuint(ld16le(fadt + 46), ==, 9);
    g_assert_cmphex(ld32le(fadt + 48), ==, 0xb2);
    g_assert_cmphex(ld32le(fadt + 56), ==, 0x600);
    g_assert_cmphex(ld32le(fadt + 64), ==, 0x604);
    g_assert_cmphex(ld32le(fadt + 76), ==, 0x608);
    g_assert_cmpuint(fadt[108], ==, 0x32);
    g_assert_cmphex(ld32le(fadt + 116 + 4), ==, 0xcf9);
    g_assert_cmphex(ld32le(fadt + 208 + 4), ==, 0x608);
    const uint8_t *facs = at_address(&t, ld32le(fadt + 36)), *dsdt = at_address(&t, ld32le(fadt + 40));
    g_assert_cmpmem(facs, 4, "FACS", 4);
    g_assert_cmpuint((facs - t.tables) % 64, ==, 0);
    g_assert_cmpmem(dsdt, 4, "DSDT", 4);
    g_assert_cmpuint(sum(dsdt, ld32le(dsdt + 4)), ==, 0);

    const uint8_t *madt = find_table(&t, "APIC");
    unsigned lapics = 0, overrides = 0;
    for (const uint8_t *e = madt + 44; e < madt + ld32le(madt + 4); e += e[1]) {
        g_assert_cmpuint(e[1], >, 0);
        if (e[0] == 0) {
            g_assert_cmpuint(e[2], ==, lapics);
            g_assert_cmpuint(e[3], ==, b.vcpu[lapics].apic_id);
            lapics++;
        } else if (e[0] == 2) {
            overrides++;
            g_assert_cmpuint(ld32le(e + 4), ==, e[3] == 0 ? 2 : e[3]);
        }
    }
    g_assert_cmpuint(lapics, ==, 3);
    g_assert_cmpuint(overrides, ==, 5);
    tables_free(&t);
    board_close(&b);
}

/* The value of Name (NAME, dword) in the DSDT. */
static uint32_t dsdt_name(const Tables *t, const char *name)
{
    for (size_t i = 0; i + 10 <= t->tables_len; i++) {
        if (t->tables[i] == 8 && !memcmp(t->tables + i + 1, name, 4) && t->tables[i + 5] == 0x0c) {
            return ld32le(t->tables + i + 6);
        }
    }
    g_assert_not_reached();
}

static void test_follows_the_machine(void)
{
    Board b;
    Tables t;

    board_open(&b, 1);
    PcConfig cfg = board_config(&b);
    cfg.ram_size = 256 << 20;
    g_assert_true(board_build(&b, &cfg, NULL));
    Bus *isa = machine_find_bus(b.m, "isa");
    g_assert_nonnull(device_make(b.m, "isa-serial", NULL, isa, "index=1", NULL));
    g_assert_nonnull(device_make(b.m, "isa-parallel", NULL, isa, "iobase=0x278", NULL));
    /* The firmware puts the ACPI registers somewhere else, then reads the tables. */
    PciBus *pci = machine_service(b.m, "pci");
    pci_config_write(pci, 0, 0x0b, 0x40, 0xb001, 4);
    pci_config_write(pci, 0, 0x0b, 0x80, 1, 1);
    size_t before, after;
    fw_cfg_file(machine_service(b.m, "fw_cfg"), "etc/acpi/tables", &before);
    as_store(b.m->io, 0x510, FW_CFG_FILE_DIR, 2);
    fw_cfg_file(machine_service(b.m, "fw_cfg"), "etc/acpi/tables", &after);
    g_assert_cmpuint(before, ==, after);
    link_tables(&b, &t);
    g_assert_cmphex(dsdt_name(&t, "PRES") & 0x7f, ==, 0x22);
    g_assert_cmphex(dsdt_name(&t, "HOLE"), ==, 256 << 20);
    g_assert_cmphex(dsdt_name(&t, "PMIO"), ==, 0xb000);
    g_assert_cmphex(ld32le(find_table(&t, "FACP") + 76), ==, 0xb008);
    tables_free(&t);
    board_close(&b);
}

static void disassemble(Board *b, const uint8_t *table, const char *name)
{
    g_autofree char *file = g_strdup_printf("%s.aml", name);
    g_autofree char *path = board_file(b, file, table, ld32le(table + 4));
    const char *argv[] = { "iasl", "-d", path, NULL };
    g_autofree char *out = NULL, *err = NULL;
    g_autoptr(GError) why = NULL;
    int status;

    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err, &status, &why);
    g_assert_no_error(why);
    g_test_message("%s%s", out, err);
    g_assert_true(g_spawn_check_wait_status(status, NULL));
    g_assert_null(strstr(out, "Error"));
    g_assert_null(strstr(err, "Error"));
    g_assert_null(strstr(err, "Invalid"));
}

static void test_iasl_reads_them(void)
{
    static const char *const names[] = { "FACP", "APIC", "SSDT" };
    Board b;
    Tables t;

    board_open(&b, BOARD_MAX_CPUS);
    PcConfig cfg = board_config(&b);
    g_assert_true(board_build(&b, &cfg, NULL));
    link_tables(&b, &t);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        disassemble(&b, find_table(&t, names[i]), names[i]);
    }
    disassemble(&b, at_address(&t, ld32le(find_table(&t, "FACP") + 40)), "DSDT");
    tables_free(&t);
    board_close(&b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/acpi/links-and-checksums", test_links_and_checksums);
    g_test_add_func("/acpi/follows-the-machine", test_follows_the_machine);
    g_test_add_func("/acpi/iasl", test_iasl_reads_them);
    return g_test_run();
}
