/*
 * system/replay.c - -icount and -rr: what machine a recording is of, and what comes to it from outside.
 *
 * The head of a recording is text, a line each: "key value".  What the machine is must be the same when it is
 * replayed; files are compared by their contents, so that a copy will do.
 */
#include "machine.h"
#include "core/replay.h"
#include "internal.h"
#include "target/x86/model.h"
#include "util/bits.h"
#include "util/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* Of a file: all of it up to so much; of a larger one its ends, and a page of each MiB. */
enum { HASHED_WHOLE = 64 << 20, PIECE = 1 << 20, PROBE = 4096 };

/* ---- what a file is ---- */

static char *file_identity(const char *path, GError **errp)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        error_set_errno(errp, errno, "%s", path);
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    g_autofree uint8_t *buf = g_malloc(PIECE);
    uLong crc = crc32(0, NULL, 0);
    for (off_t at = 0; at < st.st_size; at += PIECE) {
        bool whole = st.st_size <= HASHED_WHOLE || at == 0 || at + PIECE >= st.st_size;
        ssize_t n = pread(fd, buf, whole ? PIECE : PROBE, at);
        crc = crc32(crc, buf, n > 0 ? (uInt)n : 0);
    }
    close(fd);
    return g_strdup_printf("%" PRId64 " bytes, checksum %08lx", (int64_t)st.st_size, crc);
}

static bool put_file(GString *head, const char *key, const char *path, GError **errp)
{
    g_autofree char *is = path ? file_identity(path, errp) : NULL;

    if (is) {
        g_string_append_printf(head, "%s %s\n", key, is);
    }
    return is || !path;
}

/* ---- what a machine is ---- */

static uint32_t features(const X86Cpu *c)
{
    uint32_t crc = 0, out[4];

    for (uint32_t leaf = 0; leaf < 0x20; leaf++) {
        x86_cpuid(c, leaf, 0, out);
        crc = (uint32_t)crc32(crc, (const uint8_t *)out, sizeof(out));
        x86_cpuid(c, 0x80000000 | leaf, 0, out);
        crc = (uint32_t)crc32(crc, (const uint8_t *)out, sizeof(out));
    }
    return crc;
}

static bool put_drives(GString *head, const Config *c, GError **errp)
{
    for (guint i = 0; i < c->drives->len; i++) {
        const DriveConfig *d = g_ptr_array_index(c->drives, i);
        g_autofree char *key = g_strdup_printf("drive-%s", d->id), *image = g_strdup_printf("image-%s", d->id);
        g_string_append_printf(head, "%s %d %d%s%s\n", key, d->interface, d->index, d->cdrom ? " cdrom" : "",
                               d->readonly ? " readonly" : "");
        if (!put_file(head, image, d->file, errp)) {
            return false;
        }
    }
    return true;
}

static void put_list(GString *head, const char *key, const GPtrArray *list)
{
    for (guint i = 0; i < list->len; i++) {
        g_string_append_printf(head, "%s-%u %s\n", key, i, (char *)g_ptr_array_index(list, i));
    }
}

/* What must be the same. */
static char *describe(System *s, GError **errp)
{
    const Config *c = s->cfg;
    GString *head = g_string_new(NULL);
    X86Cpu *cpu = x86_cpu(g_ptr_array_index(s->m->vcpus, 0));

    g_string_append_printf(head, "machine %s\nsmp %u, %u %u %u %u\n", c->machine, c->cpus, c->topology.sockets,
                           c->topology.dies, c->topology.cores, c->topology.threads);
    g_string_append_printf(head, "cpu %s, features %08x\nmemory %" PRIu64 "M\nvga %s\n", x86_model_spec(cpu->model),
                           features(cpu), c->ram >> 20, c->vga);
    g_string_append_printf(head, "acpi %s\ngraphics %s\nboot %s %s %s\nwait %" PRIu64 " %" PRIu64 "\n",
                           c->no_acpi ? "off" : "on", c->no_graphics ? "off" : "on", c->boot_order,
                           c->boot_once ? c->boot_once : "-", c->boot_menu ? "menu" : "-", c->splash_ms, c->fail_ms);
    g_string_append_printf(head, "reboot %s\n", c->no_reboot ? "ends" : "resets");
    if (c->append) {
        g_autofree char *text = g_strescape(c->append, NULL);
        g_string_append_printf(head, "append %s\n", text);
    }
    for (guint i = 0; i < c->devices->len; i++) {
        const DeviceConfig *d = g_ptr_array_index(c->devices, i);
        g_string_append_printf(head, "device-%u %s %s\n", i, d->driver, d->props);
    }
    put_list(head, "global", c->globals);
    put_list(head, "serial", c->serial);
    put_list(head, "parallel", c->parallel);
    g_autofree char *bios = find_bios(c, errp);
    if (!bios || !put_file(head, "bios", bios, errp) || !put_file(head, "kernel", c->kernel, errp)
        || !put_file(head, "initrd", c->initrd, errp) || !put_drives(head, c, errp)) {
        g_string_free(head, true);
        return NULL;
    }
    return g_string_free(head, false);
}

/* The value of a line; NULL: there is none. */
static char *find_line(char *const *lines, const char *key)
{
    size_t n = strlen(key);

    for (; *lines; lines++) {
        if (!strncmp(*lines, key, n) && (*lines)[n] == ' ') {
            return *lines + n + 1;
        }
    }
    return NULL;
}

static bool is_setting(const char *line)
{
    return g_str_has_prefix(line, "shift ") || g_str_has_prefix(line, "seed ") || g_str_has_prefix(line, "rtc ");
}

/* Each line of one must be in the other; the first that is not is what is said. */
static bool same_machine(const char *recorded, const char *now, GError **errp)
{
    g_auto(GStrv) a = g_strsplit(recorded, "\n", -1), b = g_strsplit(now, "\n", -1);
    char *const *sides[] = { a, b };

    for (unsigned side = 0; side < 2; side++) {
        for (char *const *line = sides[side]; *line; line++) {
            g_autofree char *key = g_strndup(*line, strcspn(*line, " "));
            const char *was = find_line(a, key), *is = find_line(b, key);
            if (!**line || is_setting(*line) || !g_strcmp0(was, is)) {
                continue;
            }
            error_set(errp, "this is not the machine that was recorded: %s was %s and is %s%s", key,
                      was ? was : "not there", is ? is : "not there",
                      g_str_has_prefix(key, "image-") ? "; the image has changed, a recording needs it as it was" : "");
            return false;
        }
    }
    return true;
}

/* ---- the command line ---- */

/* Time counted in instructions, and everything that the guest could see of the host fixed. */
static bool fix_what_varies(Config *c, GError **errp)
{
    g_autofree char *base = c->rtc_base;
    g_autoptr(GDateTime) t = NULL;

    if (!c->accels->len) {
        g_ptr_array_add(c->accels, g_strdup("dbt"));
        g_ptr_array_add(c->accels, g_strdup("interp"));
    }
    for (guint i = 0; i < c->accels->len; i++) {
        const char *a = g_ptr_array_index(c->accels, i);
        if (g_str_has_prefix(a, "kvm") || g_str_has_prefix(a, "check")) {
            error_set(errp, "-icount: -accel %.*s cannot count instructions for it; dbt and interp can",
                      (int)strcspn(a, ","), a);
            c->rtc_base = g_steal_pointer(&base);
            return false;
        }
    }
    if (c->rr_record && (!base || !strcmp(base, "utc") || !strcmp(base, "localtime"))) {
        t = g_date_time_new_from_unix_utc(config_rtc_seconds(c));
        c->rtc_base = g_date_time_format(t, "%FT%T");
    } else {
        c->rtc_base = base ? g_steal_pointer(&base) : g_strdup("2026-01-01");
    }
    return true;
}

static bool check_written(const Config *c, GError **errp)
{
    for (guint i = 0; i < c->drives->len; i++) {
        const DriveConfig *d = g_ptr_array_index(c->drives, i);
        if (d->file && !d->cdrom && !d->readonly && !d->snapshot) {
            error_set(errp, "-rr record=%s: %s would be changed, and a replay needs it as it is now: "
                      "add -snapshot, or make the drive readonly=on", c->rr_record, d->origin);
            return false;
        }
    }
    return true;
}

/* Settings of a recording are those of its replay. */
static bool take_settings(Config *c, GError **errp)
{
    g_auto(GStrv) lines = g_strsplit(replay_head(c->rr), "\n", -1);
    const char *shift = find_line(lines, "shift"), *seed = find_line(lines, "seed"), *rtc = find_line(lines, "rtc");
    guint64 n;

    if (!rtc || !shift || !g_ascii_string_to_unsigned(shift, 10, 0, ICOUNT_SHIFT_MAX, &n, NULL) || !seed
        || !g_ascii_string_to_unsigned(seed, 16, 0, G_MAXUINT64, &c->icount_seed, NULL) || !config_is_date(rtc)) {
        error_set(errp, "-rr replay=%s: the recording is damaged at its head", c->rr_replay);
        return false;
    }
    c->icount_shift = (unsigned)n;
    g_free(c->rtc_base);
    c->rtc_base = g_strdup(rtc);
    return true;
}

bool config_counted(Config *c, GError **errp)
{
    if (c->rr_replay) {
        c->rr = replay_open(c->rr_replay, errp);
        if (!c->rr) {
            g_prefix_error(errp, "-rr replay=%s: ", c->rr_replay);
            return false;
        }
        if (!take_settings(c, errp)) {
            return false;
        }
    } else if (c->rr_record && getrandom(&c->icount_seed, sizeof(c->icount_seed), 0) < 0) {
        error_set_errno(errp, errno, "-rr record=%s: no random number for a seed", c->rr_record);
        return false;
    }
    c->icount |= c->rr_record || c->rr_replay;
    return !c->icount || (fix_what_varies(c, errp) && (!c->rr_record || check_written(c, errp)));
}

/* ---- from outside to the recording ---- */

static bool gate_chardev(void *opaque, CharBack *c, unsigned front, const uint8_t *buf, size_t len)
{
    System *s = opaque;
    g_autofree uint8_t *data = g_malloc(len + 1);

    data[0] = (uint8_t)front;
    if (len) {
        memcpy(data + 1, buf, len);
    }
    return replay_enter(s->m, buf ? REPLAY_BYTES : REPLAY_BREAK, chardev_id(c), data, len + 1);
}

static bool gate_input(void *opaque, const InputEvent *e)
{
    System *s = opaque;
    uint8_t data[12] = { e->down };

    switch (e->kind) {
    case INPUT_EVENT_KEY:
        return replay_enter(s->m, REPLAY_KEY, e->key->name, data, 1);
    case INPUT_EVENT_MOVE:
        for (unsigned i = 0; i < 3; i++) {
            st32le(data + 4 * i, (uint32_t)e->move[i]);
        }
        return replay_enter(s->m, REPLAY_MOVE, "", data, 12);
    case INPUT_EVENT_BUTTONS:
        st32le(data, e->mask);
        return replay_enter(s->m, REPLAY_BUTTONS, "", data, 4);
    }
    return false;
}

/* ---- from the recording to the machine ---- */

static bool deliver_bytes(System *s, bool stop, const char *name, const uint8_t *data, size_t len)
{
    CharBack *c = system_find_chardev(s, name);

    return c && len && chardev_inject(c, data[0], stop ? NULL : data + 1, len - 1);
}

static bool deliver_key(System *s, const char *name, const uint8_t *data, size_t len)
{
    const InputKey *key = input_key_find(name);

    if (!key || len != 1) {
        return false;
    }
    input_key(s->input, key, data[0]);
    return true;
}

static bool deliver_command(System *s, const uint8_t *data, size_t len)
{
    g_autofree char *line = g_strndup((const char *)data, len);
    g_autoptr(GString) out = g_string_new(NULL);

    monitors_run(s->monitors, line, out);
    return true;
}

static bool deliver_request(System *s, const uint8_t *data, size_t len)
{
    uint32_t what = len == 4 ? ld32le(data) : 0;

    if (what != MACHINE_RESET && what != MACHINE_POWERDOWN) {
        return false;
    }
    machine_request(s->m, what);
    return true;
}

static bool deliver(void *opaque, ReplayKind kind, const char *name, const uint8_t *data, size_t len, GError **errp)
{
    System *s = opaque;
    bool ok = false;

    switch (kind) {
    case REPLAY_BYTES:
    case REPLAY_BREAK:
        ok = deliver_bytes(s, kind == REPLAY_BREAK, name, data, len);
        break;
    case REPLAY_KEY:
        ok = deliver_key(s, name, data, len);
        break;
    case REPLAY_MOVE:
        ok = len == 12;
        if (ok) {
            input_move(s->input, (int)ld32le(data), (int)ld32le(data + 4), (int)ld32le(data + 8));
        }
        break;
    case REPLAY_BUTTONS:
        ok = len == 4;
        if (ok) {
            input_buttons(s->input, ld32le(data));
        }
        break;
    case REPLAY_REQUEST:
        ok = deliver_request(s, data, len);
        break;
    case REPLAY_COMMAND:
        ok = deliver_command(s, data, len);
        break;
    default:
        break;
    }
    if (!ok) {
        error_set(errp, "what is recorded here (kind %u, '%s') cannot come to this machine", kind, name);
    }
    return ok;
}

static uint64_t hash(void *opaque, bool memory_too)
{
    System *s = opaque;

    return accel_hash(s->m, memory_too);
}

/* A debugger may want to look; else there is no more to do. */
static void ended(void *opaque, const GError *error)
{
    System *s = opaque;
    IcountPosition at = icount_position(s->m);

    if (error) {
        fprintf(stderr, "tinamou: %s: %s\n", s->cfg->rr_replay ? "replay" : "going back", error->message);
        s->rr_failed = true;
    } else {
        fprintf(stderr, "tinamou: replay: ended as recorded, after %" PRIu64 " instructions\n", at.insns);
    }
    if (s->cfg->rr_replay && !s->m->icount->stays) {
        machine_quit(s->m, error ? 1 : 0);
    }
}

static bool open_recording(System *s, GError **errp)
{
    const Config *c = s->cfg;
    Icount *ic = s->m->icount;
    g_autofree char *machine = describe(s, errp);

    if (!machine) {
        g_prefix_error(errp, "-rr: ");
        return false;
    }
    if (c->rr_replay) {
        ic->replay = c->rr;
        if (!same_machine(replay_head(c->rr), machine, errp)) {
            g_prefix_error(errp, "-rr replay=%s: ", c->rr_replay);
            return false;
        }
    } else {
        g_autofree char *head = g_strdup_printf("%sshift %u\nseed %" PRIx64 "\nrtc %s\n", machine, c->icount_shift,
                                                c->icount_seed, c->rtc_base);
        ic->replay = replay_record(c->rr_record, head, errp);
        if (!ic->replay) {
            g_prefix_error(errp, "-rr record=: ");
            return false;
        }
    }
    return true;
}

bool system_replay_start(System *s, GError **errp)
{
    const ReplayHost host = { .deliver = deliver, .hash = hash, .ended = ended, .opaque = s };
    const Config *c = s->cfg;
    Icount *ic = s->m->icount;

    if (!ic) {
        return true;
    }
    ic->history = c->history;
    if (!c->rr_record && !c->rr_replay) {
        ic->replay = replay_log();
    } else if (!open_recording(s, errp)) {
        return false;
    }
    replay_set_host(ic->replay, &host);
    for (guint i = 0; i < s->chardevs->len; i++) {
        chardev_set_gate(g_ptr_array_index(s->chardevs, i), gate_chardev, s);
    }
    input_set_gate(s->input, gate_input, s);
    return true;
}

void system_replay_debugger(System *s)
{
    const Config *c = s->cfg;

    if (c->rr_replay && c->gdb->len && c->history) {
        runner_keep_history(s->runner, true);
        s->m->icount->stays = true;
    }
}

void system_replay_finish(System *s)
{
    Icount *ic = s->m->icount;
    g_autoptr(GError) err = NULL;

    if (!ic || !ic->replay) {
        return;
    }
    if (!replay_is_file(ic->replay)) {
        replay_free(ic->replay);
        ic->replay = NULL;
        return;
    }
    if (s->cfg->rr_record && replay_replaying(ic->replay)) {
        fputs("tinamou: -rr: the machine ends in its past: the recording goes to where it was taken back\n", stderr);
    }
    IcountPosition at = icount_position(s->m);
    bool whole = replay_finish(ic->replay, s->m, &err);
    if (err) {
        fprintf(stderr, "tinamou: -rr: %s\n", err->message);
        s->rr_failed = true;
    }
    if (s->cfg->rr_record || !whole) {
        fprintf(stderr, "tinamou: %" PRIu64 " instructions %s\n", at.insns,
                s->cfg->rr_record ? "recorded" : "replayed; the recording goes on");
    }
    if (s->rr_failed && !s->status) {
        s->status = 1;
    }
    replay_free(ic->replay);
    ic->replay = NULL;
}
