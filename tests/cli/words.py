#!/usr/bin/env python3
"""What the program says without running a machine: help, versions, mistakes, -show-config.

Usage: words.py TINAMOU SOURCE_DIR
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys


class Program:
    def __init__(self, path):
        self.path = path

    def run(self, *args):
        return subprocess.run([self.path, *args], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def prints(self, *args):
        done = self.run(*args)
        assert done.returncode == 0 and not done.stderr, f'{args}: {done}'
        return done.stdout

    def fails(self, *args, says):
        done = self.run(*args)
        assert done.returncode == 1 and not done.stdout, f'{args}: {done}'
        assert done.stderr.startswith('tinamou: ') and done.stderr.count('\n') == 1, f'{args}: {done.stderr}'
        assert says in done.stderr, f'{args}: {done.stderr!r} does not say {says!r}'


def cpu_models(text):
    """From -cpu help: model to the features that the interpreter cannot give of it."""
    models, model, lacks = {}, None, False
    for line in text[:text.index('\n\n')].splitlines()[1:]:
        words = line.split()
        if re.match(r'  \S', line):
            model = words[0]
            models[model] = []
        elif re.match(r'    \S', line):
            lacks = words[0] == 'interp' and words[1] == 'lacks:'
            models[model] += words[2:] if lacks else []
        elif lacks:
            models[model] += words
    return models


def main(tinamou, source):
    p = Program(tinamou)

    assert p.prints('-version').startswith('Tinamou ')
    text = p.prints('-help')
    assert text == p.prints('--help') == p.prints('-h')
    for option in ('-drive', '-nographic', '-show-config', '-daemonize'):
        assert '\n  ' + option in text, option
    reference = pathlib.Path(source, 'docs/options.md').read_text()
    assert reference == p.prints('-help-markdown'), \
        'docs/options.md is not what the table says: tinamou -help-markdown > docs/options.md'
    for args in (['-machine', 'help'], ['-cpu', 'help'], ['-accel', 'help'], ['-chardev', 'help'], ['-d', 'help'],
                 ['-display', 'help'], ['-drive', 'help']):
        assert p.prints(*args).count('\n') > 1, args
    devices = p.prints('-device', 'help')
    for line in devices.splitlines():
        if line.startswith('  '):
            assert p.prints('-device', line.split()[0] + ',help').startswith(line.split()[0] + ': ')
    assert 'chardev=' in p.prints('-device', 'isa-serial,help')

    doctor = p.run('doctor')
    assert not doctor.stderr, doctor
    for name in ('processor', 'KVM', 'accelerator', 'huge pages', 'display', 'sound', 'firmware'):
        assert re.search(rf'^{name} +(ok|could be better|missing): \S', doctor.stdout, re.M), (name, doctor.stdout)
    missing = re.search(r'^[\w ]+ missing: ', doctor.stdout, re.M)
    assert doctor.returncode == (1 if missing else 0), doctor
    assert doctor.stdout.endswith('cannot run here yet.\n' if missing else 'Guests can run here.\n')
    p.fails('doctor', '-m', '-1', says='-m -1: ')

    p.fails('-hdaa', 'x', says='unknown option -hdaa; did you mean -hda?')
    p.fails('-m', '999999999G', says='-m 999999999G: ')
    p.fails('-m', '-1', says='-m -1: ')
    p.fails('-m', says='-m needs a value')
    p.fails('-smp', '1000', says='must be 1..255')
    p.fails('-smp', '255', says='at most')
    for smp, shown in (('4,sockets=2', '4,sockets=2,dies=1,cores=2,threads=1'), ('6', '6,sockets=1,dies=1,cores=6,threads=1'),
                       ('cores=3,threads=2', '6,sockets=1,dies=1,cores=3,threads=2'),
                       ('8,cores=2', '8,sockets=4,dies=1,cores=2,threads=1'),
                       ('12,dies=2,cores=3', '12,sockets=2,dies=2,cores=3,threads=1')):
        assert f'-smp {shown} ' in p.prints('-show-config', '-smp', smp), smp
    models = cpu_models(p.prints('-cpu', 'help'))
    assert {'486', 'pentium', 'pentium3', 'core2duo', 'x86-64-v1', 'x86-64-v2', 'x86-64-v3', 'x86-64-v4', 'max',
            'host'} \
        <= set(models)
    assert models['max'] == []
    for model, lacks in models.items():         # what help says and what -cpu does are one thing
        for feature in lacks:
            p.fails('-display', 'none', '-cpu', model, says=f' {feature}')
            p.fails('-display', 'none', '-cpu', 'max,+' + feature, says=f' {feature}')
    os.environ['TINAMOU_HOST_LACKS'] = 'avx512*'
    p.fails('-display', 'none', '-accel', 'interp', '-cpu', 'x86-64-v4',
            says='the host processor has not got avx512f avx512dq avx512cd avx512bw avx512vl; take them off')
    assert cpu_models(p.prints('-cpu', 'help'))['max'] == []
    del os.environ['TINAMOU_HOST_LACKS']
    p.fails('-display', 'none', '-cpu', 'x86-64-v5', says="did you mean 'x86-64-v")
    for accel in ('interp', 'dbt'):
        p.fails('-display', 'none', '-accel', accel, '-cpu', 'host', says='which only -accel kvm can hand to a guest')
    p.fails('-display', 'none', '-cpu', 'max,tsc-frequency=5', says='tsc-frequency=5: must be')
    p.fails('-device', 'isa-seral', says="did you mean 'isa-serial'?")
    p.fails('-device', 'isa-serial,irk=4', says="did you mean 'irq'?")
    p.fails('-device', 'i8259', says='is part of the board')
    p.fails('-global', 'isa-serial.irk=4', says="did you mean 'irq'?")
    p.fails('-display', 'none', '-device', 'isa-debug-exit,iobase=0x10000', says='-device isa-debug-exit,iobase=0x10000: ')
    p.fails('-display', 'none', '-device', 'isa-debugcon,chardev=x', says="there is no -chardev with the id 'x'")
    p.fails('-display', 'none', '-device', 'isa-debug-exit,bus=pci.9', says="there is no bus 'pci.9'")
    p.fails('-display', 'none', '-global', 'isa-serial.irq=999', says='-global isa-serial.irq=999: ')
    p.fails('-cpu', 'max,+sse9', '-display', 'none', says='sse9')
    p.fails('-serial', 'stdoi', says="did you mean 'stdio'?")
    p.fails('-display', 'none', '-serial', 'stdio', '-monitor', 'stdio', says='stdio is in use already')
    p.fails('-display', 'none', '-serial', 'file:/nonexistent/x', says='-serial file:/nonexistent/x: cannot write')
    p.fails('-nographic', '-daemonize', says='-daemonize')
    p.fails('/nonexistent.iso', says='/nonexistent.iso')

    for args in (['-nographic'], ['-nographic', '-m', '2G', '-smp', '2', '-cdrom', 'a b.iso', '-hda', 'x,y', '-S'],
                 ['-display', 'none', '-kernel', 'k', '-append', "a='b c' $d", '-serial', 'unix:/tmp/s,server,nowait']):
        shown = p.prints('-show-config', *args)
        command = shown[:shown.index('\n#')].replace('\\\n', ' ')
        words = shlex.split(command)
        assert words[0] == 'tinamou'
        again = p.prints('-show-config', *words[1:])
        assert shown == again, f'{shown}\n---\n{again}'
    print('words ok')


main(*sys.argv[1:])
