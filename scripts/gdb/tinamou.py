"""For gdb: the registers and the disassembly follow the processor through 16, 32 and 64 bits.

    (gdb) source scripts/gdb/tinamou.py
    (gdb) target remote :1234

gdb fixes the architecture when it connects.  Each time something has stopped, this asks Tinamou what the current
processor executes; when that has changed, gdb reads the target description again and takes its architecture.
`tinamou-follow off` leaves everything as it is, `on` goes on following.
"""
import gdb

MODES = ('i8086', 'i386', 'i386:x86-64')


def attempt(command):
    try:
        return gdb.execute(command, to_string=True).strip()
    except gdb.error:
        return ''


class Follow(gdb.Command):
    """Follow the processor's mode: tinamou-follow [on|off]."""

    def __init__(self):
        super().__init__('tinamou-follow', gdb.COMMAND_RUNNING)
        self.on, self.known, self.connection = True, None, None

    def invoke(self, argument, from_tty):
        if argument not in ('', 'on', 'off'):
            raise gdb.GdbError('tinamou-follow takes on or off')
        self.on = argument != 'off'
        if self.on:
            self.look()

    def look(self):
        connection = getattr(gdb.selected_inferior(), 'connection', None)
        if not self.on or not connection:
            return
        mode = attempt('monitor gdb mode')
        if mode not in MODES or (mode == self.known and connection == self.connection):
            return
        self.known, self.connection = mode, connection
        attempt('monitor gdb arch auto')
        # gdb accepts an architecture only if the description that it has agrees, and a description only if the
        # architecture that was set does.  Where they differ the first line makes it forget the description.
        attempt('unset tdesc filename')
        attempt('set architecture ' + mode)
        attempt('unset tdesc filename')


follow = Follow()
gdb.execute('define hook-stop\npython follow.look()\nend')
