/*
 * main() - parse the command line, build the machine, run it.
 */
#include "doctor.h"
#include "machine.h"
#include "internal.h"
#include "system/options.h"
#include "util/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int fail(const GError *err)
{
    chardev_restore_terminal();
    pidfile_remove();
    fprintf(stderr, "tinamou: %s\n", err->message);
    return 1;
}

/* The first files opened must not become standard output by accident. */
static void open_standard_files(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd < 3);
    close(fd);
}

static bool start_log(const Config *c, GError **errp)
{
    uint32_t mask;

    if (c->log_file && !log_open(c->log_file, errp)) {
        g_prefix_error(errp, "-D %s: ", c->log_file);
        return false;
    }
    if (c->log_items) {
        if (!log_parse(c->log_items, &mask, errp)) {
            return false;
        }
        log_set(mask);
    }
    return true;
}

/* `tinamou doctor`: a word that stands alone.  An image of that name is ./doctor. */
static bool asks_doctor(int argc, char **argv)
{
    return argc == 2 && !strcmp(argv[1], "doctor");
}

int main(int argc, char **argv)
{
    g_autoptr(Config) c = config_new();
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GError) err = NULL;
    System *machine;
    int status;

    open_standard_files();
    if (asks_doctor(argc, argv)) {
        bool fine = doctor(out);
        fputs(out->str, stdout);
        return fine ? 0 : 1;
    }
    if (argc > 1 && !strcmp(argv[1], "replay-check")) {
        status = replay_check(argc - 2, (const char *const *)argv + 2, &err);
        return status < 0 ? fail(err) : status;
    }
    switch (options_parse(c, argc, (const char *const *)argv, out, &err)) {
    case OPTIONS_PRINTED:
        fputs(out->str, stdout);
        return 0;
    case OPTIONS_ERROR:
        return fail(err);
    case OPTIONS_OK:
        break;
    }
    if (!config_resolve(c, &err)) {
        return fail(err);
    }
    if (c->show_config) {
        config_show(c, out);
        fputs(out->str, stdout);
        return 0;
    }
    if ((c->daemonize && !daemon_start(&err)) || !start_log(c, &err) ||
        (c->pidfile && !pidfile_write(c->pidfile, &err))) {
        return fail(err);
    }
    signals_early();
    machine = system_build(c, &err);
    if (!machine) {
        return fail(err);
    }
    status = system_run(machine);
    system_free(machine);
    chardev_restore_terminal();
    pidfile_remove();
    return status;
}
