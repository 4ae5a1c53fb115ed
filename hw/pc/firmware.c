/*
 * Where the firmware's files are: the directories of -L, then the distribution's.
 */
#include "board.h"

#include "util/error.h"

char *firmware_find(const char *const *dirs, const char *name, GError **errp)
{
    const char *const distribution[] = { pc_firmware_dir, "/usr/share/qemu", NULL };
    const char *const *lists[] = { dirs, distribution };
    g_autoptr(GString) looked = g_string_new(NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(lists); i++) {
        for (const char *const *dir = lists[i]; dir && *dir; dir++) {
            g_autofree char *path = g_build_filename(*dir, name, NULL);

            if (g_file_test(path, G_FILE_TEST_IS_REGULAR)) {
                return g_steal_pointer(&path);
            }
            g_string_append_printf(looked, " %s", *dir);
        }
    }
    error_set(errp, "no firmware file %s in%s: install seabios, or name its directory with -L", name,
              looked->str);
    return NULL;
}
