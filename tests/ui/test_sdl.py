#!/usr/bin/env python3
"""The SDL window under Xvfb: its pixels, its title, keys and mouse; usage: test_sdl.py PROGRAM

PROGRAM is tests/ui/sdl_window.  Exit 77 (skipped) when the tools are missing, with the reason.
"""
import os
import shutil
import subprocess
import sys
import time

PATIENCE = 20.0
WIDTH, HEIGHT = 1024, 768
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
WHITE, MAGENTA = (255, 255, 255), (255, 0, 255)


class Failure(Exception):
    pass


def start_xvfb():
    """The server picks a free number and tells it, a line, when it is ready.  -noreset: else it starts over when
    the last of its clients goes, which a tool that looks at the window may be."""
    r, w = os.pipe()
    server = subprocess.Popen(['timeout', '120', 'Xvfb', '-displayfd', str(w), '-screen', '0',
                               f'{WIDTH}x{HEIGHT}x24', '-nolisten', 'tcp', '-noreset'],
                              pass_fds=[w], stderr=subprocess.DEVNULL)
    os.close(w)
    with os.fdopen(r) as pipe:
        return server, ':' + pipe.readline().strip()


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, timeout=PATIENCE).stdout


def until(what, check):
    """Ask again until it holds; the last difference is the failure."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return check()
        except (Failure, subprocess.CalledProcessError) as e:
            if time.monotonic() > end:
                raise Failure(f'{what}: {e}') from e
        time.sleep(0.05)


class Window:
    def __init__(self, program):
        self.proc = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        os.set_blocking(self.proc.stdout.fileno(), False)
        self.seen = ''
        self.id = until('no window', self.find)

    def find(self):
        return run('xdotool', 'search', '--onlyvisible', '--name', 'Tinamou').split()[0].decode()

    def geometry(self):
        text = run('xdotool', 'getwindowgeometry', '--shell', self.id).decode()
        g = dict(line.split('=') for line in text.split())
        return int(g['X']), int(g['Y']), int(g['WIDTH']), int(g['HEIGHT'])

    def title_is(self, want):
        def check():
            title = run('xdotool', 'getwindowname', self.id).decode().strip()
            if title != want:
                raise Failure(f'title is {title!r}, not {want!r}')
        until('title', check)

    def shows(self, points):
        """Colours at points given as fractions of the window."""
        def check():
            x0, y0, w, h = self.geometry()
            raw = run('import', '-window', 'root', '-depth', '8', 'rgb:-')
            for (fx, fy), want in points.items():
                x, y = x0 + int(fx * w), y0 + int(fy * h)
                at = 3 * (y * WIDTH + x)
                got = tuple(raw[at:at + 3])
                if got != want:
                    raise Failure(f'pixel {x},{y} is {got}, not {want}')
        until('picture', check)

    def size_is(self, w, h):
        def check():
            got = self.geometry()[2:]
            if got != (w, h):
                raise Failure(f'size is {got}, not {(w, h)}')
        until('size', check)

    def tell(self, command):
        self.proc.stdin.write(command.encode() + b'\n')
        self.proc.stdin.flush()

    def reports(self, *lines):
        """These lines appear, in this order; all that was said until then is returned, and forgotten."""
        def check():
            self.seen += (self.proc.stdout.read() or b'').decode()
            have = self.seen.splitlines()
            at = 0
            for line in lines:
                if line not in have[at:]:
                    raise Failure(f'no {line!r} in {have[-20:]}')
                at = have.index(line, at) + 1
        until('report', check)
        text, self.seen = self.seen, ''
        return text


def test(program):
    w = Window(program)
    w.reports('default sdl')
    w.title_is('Tinamou (test)')
    w.size_is(320, 240)
    quarters = {(.1, .1): RED, (.9, .1): GREEN, (.1, .9): BLUE, (.9, .9): YELLOW}
    w.shows({**quarters, (.5, .5): WHITE, (.45, .45): RED})

    w.tell('paint')                     # damage reaches the window
    w.shows({**quarters, (.5, .5): MAGENTA})
    w.tell('resize')                    # the window follows the guest's mode
    w.size_is(400, 300)
    w.shows({**quarters, (.5, .5): MAGENTA})

    run('xdotool', 'windowfocus', '--sync', w.id)
    run('xdotool', 'key', 'a')
    w.reports('key a down', 'key a up')
    run('xdotool', 'key', 'shift+F5')
    w.reports('key shift down', 'key f5 down', 'key shift up', 'key f5 up')
    run('xdotool', 'key', 'Prior')
    w.reports('key pgup down', 'key pgup up')

    w.tell('pause')
    w.title_is('Tinamou (test) [paused]')
    w.tell('resume')
    w.title_is('Tinamou (test)')

    run('xdotool', 'mousemove', '--window', w.id, '50', '50')
    run('xdotool', 'click', '1')        # takes the mouse, is not the guest's
    w.title_is('Tinamou (test) - Ctrl+Alt+G releases the mouse')
    run('xdotool', 'click', '3')
    if 'buttons 1' in w.reports('buttons 2', 'buttons 0'):
        raise Failure('the click that takes the mouse reached the guest')
    run('xdotool', 'mousemove_relative', '7', '5')
    until('no motion', lambda: motion(w))
    run('xdotool', 'click', '5')
    w.reports('move 0 0 1')
    run('xdotool', 'key', 'ctrl+alt+g')
    w.title_is('Tinamou (test)')
    w.reports('key ctrl up', 'key alt up')

    run('xdotool', 'windowsize', w.id, '800', '300')    # the picture keeps its shape: bars left and right
    w.shows({(.1, .5): (0, 0, 0), (.9, .5): (0, 0, 0), (.3, .1): RED, (.7, .9): YELLOW, (.5, .5): MAGENTA})

    run('xdotool', 'key', 'ctrl+alt+q')
    w.reports('quit')
    if w.proc.wait(PATIENCE):
        raise Failure(f'exit status {w.proc.returncode}')


def motion(w):
    w.seen += (w.proc.stdout.read() or b'').decode()
    moves = [line.split()[1:3] for line in w.seen.splitlines() if line.startswith('move')]
    total = tuple(sum(int(m[i]) for m in moves) for i in (0, 1))
    if total[0] <= 0 or total[1] <= 0:
        raise Failure(f'moved by {total}')


def main(program):
    missing = [t for t in ('Xvfb', 'xdotool', 'import') if not shutil.which(t)]
    if missing:
        print('skipped: no ' + ', '.join(missing) + ' (packages xvfb, xdotool, imagemagick)')
        return 77
    server, display = start_xvfb()
    os.environ['DISPLAY'] = display
    os.environ.pop('WAYLAND_DISPLAY', None)
    os.environ.pop('SDL_VIDEODRIVER', None)
    # What SDL's D-Bus and graphics libraries keep at exit is theirs; all else a sanitizer finds counts.
    os.environ['ASAN_OPTIONS'] = os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0'
    try:
        test(program)
    except Failure as e:
        print(f'FAILED: {e}')
        return 1
    finally:
        server.terminate()
        server.wait()
    print('ok')
    return 0


sys.exit(main(sys.argv[1]))
