#!/usr/bin/env python3
"""VEX and EVEX instructions by our decoder and by GNU objdump: lengths and mnemonics must agree.

Usage: vex_vs_objdump.py VEX_ENCODINGS OBJDUMP [SEED]

Encodings of every row (vex_encodings.c), and every opcode of the EVEX maps, so that what objdump knows and
the table has not is found, too.  objdump is a partner, not an oracle: a difference is a line of EXPLAINED
with a reason that can be checked in a manual; one that is not fails the test.
"""
import collections
import random
import re
import subprocess
import sys
import tempfile

SLOT = 32               # bytes an encoding: what follows it are NOPs, so that none runs into the next

PREDICATE = r'(?:n?(?:eq|lt|le|gt|ge)|unord|ord|false|true)(?:_[a-z]{1,2})?'

# What (ours, theirs) are, by name; a reason.  '-' is no instruction.
EXPLAINED = [
    (r'-', r'vp2intersect[dq]', 'AVX512_VP2INTERSECT is not offered'),
    (r'-', r'v(exp2|rcp28|rsqrt28)[ps][sd]', 'AVX512ER was of Xeon Phi only'),
    (r'-', r'v4fn?madd[ps]s|vp4dpwssds?', 'AVX512_4FMAPS and 4VNNIW were of Xeon Phi only'),
    (r'-', r'vpdpb(ss|su|uu)ds?', 'AVX-VNNI-INT8 is not offered, and has no EVEX forms'),
    (r'k\w+|vpmovm2[bwdq]|vpbroadcastm(b2q|w2d)', r'-', 'B is ignored with an opmask in r/m; objdump does not'),
    (r'vpcmpestr[im]', r'vpcmpestr[im]q', 'objdump adds a letter for W'),
]


def parse(line):
    code, length, name = line.split()
    return bytes.fromhex(code), int(length), name


def encodings(program, *args):
    out = subprocess.run([program, *args], check=True, capture_output=True, text=True).stdout
    missing = [x for x in out.splitlines() if 'no encoding found' in x]
    if missing:
        sys.exit('\n'.join(missing))
    return [parse(x) for x in out.splitlines()]


def disassemble(objdump, codes):
    """Length and mnemonic of each, (0, '-') for none."""
    with tempfile.NamedTemporaryFile(suffix='.bin') as f:
        f.write(b''.join(c + b'\x90' * (SLOT - len(c)) for c in codes))
        f.flush()
        out = subprocess.run([objdump, '-D', '-b', 'binary', '-m', 'i386:x86-64', '-M', 'intel', '-w',
                              '--insn-width=15', f.name], check=True, capture_output=True, text=True).stdout
    found = {}
    for line in out.splitlines():
        m = re.match(r'\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*\t?(.*)', line)
        if m and int(m[1], 16) % SLOT == 0:
            text = m[3].replace('{evex} ', '').replace('{vex} ', '')
            good = text and '(bad)' not in text and '{ba' not in text
            found[int(m[1], 16) // SLOT] = (len(m[2].split()), text.split()[0]) if good else (0, '-')
    return [found.get(i, (0, '-')) for i in range(len(codes))]


def plain(ours, theirs):
    """objdump prints predicates as part of the name, as assemblers take them."""
    m = re.fullmatch('(vp?cmp)([ps][sdh]|u?[bwdq])', ours)
    if m and re.fullmatch(m[1] + PREDICATE + m[2], theirs):
        return ours
    return re.sub(r'vpclmul[hl]q[hl]qdq', 'vpclmulqdq', theirs)


def explain(used, ours, theirs):
    for i, (a, b, _) in enumerate(EXPLAINED):
        if re.fullmatch(a, ours) and re.fullmatch(b, theirs):
            used[i] += 1
            return True
    return False


def opcode(code):
    return code[1] & 7, code[4]


def main(program, objdump, seed=None):
    seed = seed or str(random.randrange(1 << 32))
    print(f'seed {seed}')
    cases = encodings(program, 'rows', seed) + encodings(program, 'opcodes')
    used, bad, lax = collections.Counter(), 0, 0
    known = {(opcode(code), name) for code, _, name in cases if code[0] == 0x62}
    theirs = disassemble(objdump, [c[0] for c in cases])
    for (code, length, name), (their_length, their_name) in zip(cases, theirs):
        their_name = plain(name, their_name)
        if (length, name) == (their_length, their_name) or explain(used, name, their_name):
            continue
        if name == '-' and (opcode(code), their_name) in known:
            lax += 1
            continue
        bad += 1
        if bad <= 4000:
            print(f'{code.hex(" ")}: ours {length} {name}, objdump {their_length} {their_name}')
    for i, (_, _, reason) in enumerate(EXPLAINED):
        print(f'{used[i]:6} {reason}')
    print(f'{lax:6} a prefix, W, mask or operand that this opcode has not; objdump does not look')
    print(f'{len(cases)} encodings, {bad} differences without a reason')
    sys.exit(bad != 0)


if __name__ == '__main__':
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
