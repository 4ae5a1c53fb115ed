/*
 * tests/kvm/usable.c - see usable.h.
 */
#include "usable.h"

#include <glib.h>
#include <unistd.h>
#include "accel/kvm.h"

bool kvm_usable(void)
{
    g_autoptr(GError) err = NULL;
    int fd = kvm_open_device(KVM_DEVICE, &err);

    if (fd < 0) {
        g_test_skip(err->message);
        return false;
    }
    close(fd);
    return true;
}
