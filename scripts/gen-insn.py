#!/usr/bin/env python3
"""Read the tables of target/x86/insn as one, refuse what is contradictory, and write what is built from it.

Usage: gen-insn.py OUTDIR TABLE...     writes x86-ops.h x86-rows.c.inc x86-exec.h x86-exec-table.c.inc
       gen-insn.py --check TABLE...    only checks

The form of a table is described in target/x86/insn/README; docs/adding-an-instruction.md is the guide.
"""
import collections
import os
import re
import sys

FIXED = ['1', 'AL', 'CL', 'DX', 'rAX', 'eAX', 'AX', 'ES', 'CS', 'SS', 'DS', 'FS', 'GS', 'ST', 'XMM0']
KINDS = 'EGMRSCDZIJOAXYVWUPQNT'
MODRM_KINDS = set('EGMRSCDVWUPQNT')
MEMORY_KINDS = set('EMWQ')              # what a ModRM with mod < 3 may name memory for
SIZES = 'bcwdqvzypasxt-'
REQUIREMENTS = {'np': 1, '66': 2, 'f3': 4, 'f2': 8, 'nf': 3, 'n3': 11}     # mandatory prefixes: a set
REX = {'w0': 1, 'w1': 2, 'b0': 4, 'b1': 8}
MAPS = {'': 0, '0f': 1, '0f38': 2, '0f3a': 3}
FLAGS = {'o': 11, 's': 7, 'z': 6, 'a': 4, 'p': 2, 'c': 0}
WORDS = ['lock', 'i64', 'o64', 'd64', 'f64', 'cpl0', 'iopl', 'prot', 'ends', 'rep', 'repz', 'anymod',
         'host', 'x87', 'nowait', 'fp', 'tiny32', 'tiny64', 'loose', 'eax', 'ecx', 'edx', 'xmm0',
         # derived, never written in the table
         'sse', 'mmx', 'align']
DERIVED = {'sse', 'mmx', 'align'}

Row = collections.namedtuple(
    'Row', 'where op map opcode span reg modrm mod pfx rex mode operands words flags cpu names')


class TableError(Exception):
    pass


def parse(path):
    with open(path, encoding='ascii') as f:
        for num, text in enumerate(f, 1):
            fields = text.split('#')[0].split()
            if not fields:
                continue
            try:
                if len(fields) < 3:
                    raise TableError('a row has an operation, an encoding and operands')
                yield parse_row(f'{os.path.basename(path)}:{num}', *fields)
            except TableError as e:
                raise TableError(f'{path}:{num}: {e}') from None


def parse_encoding(enc):
    m = re.fullmatch(r'((?:(?:np|nf|n3|66|f3|f2|w0|w1|b0|b1)\.)*)(?:(0f38|0f3a|0f)\.)?'
                     r'([0-9a-f]{2})(?:/([0-7])|=([0-9a-f]{2})|(\+[rc]))?', enc)
    if not m:
        raise TableError(f'encoding {enc}')
    pfx, rex = 0, 0
    for p in m[1].split('.')[:-1]:
        if p in REX:
            rex |= REX[p]
        elif pfx:
            raise TableError(f'two demands on the mandatory prefix in {enc}')
        else:
            pfx = REQUIREMENTS[p]
    if rex & 3 == 3 or rex & 12 == 12:
        raise TableError(f'contradictory REX demands in {enc}')
    opcode, span = int(m[3], 16), {'+r': 8, '+c': 16}.get(m[6], 1)
    if opcode % span:
        raise TableError(f'{m[3]} does not start a group of {span}')
    modrm = int(m[5], 16) if m[5] else 0
    if m[5] and modrm < 0xc0:
        raise TableError(f'ModRM {m[5]} is not a whole opcode: it names memory')
    return MAPS[m[2] or ''], opcode, span, int(m[4]) if m[4] else 8, modrm, pfx or 15, rex


def parse_operands(text):
    operands = [] if text == '-' else text.split(',')
    for o in operands:
        if o not in FIXED and not (len(o) == 2 and o[0] in KINDS and o[1] in SIZES):
            raise TableError(f'operand {o}')
    if len(operands) > 4:
        raise TableError('more than four operands')
    return operands


def parse_attributes(op, attrs):
    flags, words, cpu, names = {'r': '', 'w': '', 'u': ''}, set(), '', op
    seen = set()
    for a in attrs:
        key = a.split(':')[0]
        if key in seen:
            raise TableError(f'{key} twice')
        seen.add(key)
        if key in flags and ':' in a:
            if set(a[2:]) - set(FLAGS):
                raise TableError(f'flags {a}')
            flags[key] = a[2:]
        elif a.startswith('cpu:') and re.fullmatch(r'[a-z0-9_]+', a[4:]):
            cpu = a[4:]
        elif a.startswith('n:') and re.fullmatch(r'[a-z0-9_@|{}]+', a[2:]):
            names = a[2:]
        elif a in WORDS and a not in DERIVED:
            words.add(a)
        else:
            raise TableError(f'attribute {a}')
    if set(flags['w']) & set(flags['u']):
        raise TableError('a flag both written and undefined')
    return flags, words, cpu, names


def parse_row(where, op, enc, operands, *attrs):
    if not re.fullmatch(r'[a-z][a-z0-9_]*', op):
        raise TableError(f'operation {op}')
    table_map, opcode, span, reg, modrm, pfx, rex = parse_encoding(enc)
    operands = parse_operands(operands)
    flags, words, cpu, names = parse_attributes(op, attrs)
    kinds = [o[0] for o in operands if o not in FIXED]
    memory = [o for o in operands if o not in FIXED and o[0] in MEMORY_KINDS]
    if 'lock' in words and not (operands and operands[0] in memory):
        raise TableError('lock without a memory destination')
    if {'i64', 'o64'} <= words:
        raise TableError('a row for no mode')
    if len(memory) > 1:
        raise TableError('two operands of ModRM r/m')
    if modrm and (memory or 'R' in kinds):
        raise TableError('a fixed ModRM byte leaves no operand to name')
    if set(kinds) & set('VWU') or 'XMM0' in operands:
        words.add('sse')
    if set(kinds) & set('PQN'):
        words.add('mmx')
    if {'fp', 'loose', 'tiny32', 'tiny64'} & words and not words & {'sse', 'mmx'}:
        raise TableError('fp, tiny and loose are of vector rows')
    if 'sse' in words and memory and memory[0][1] == 'x' and 'loose' not in words:
        words.add('align')
    if 'nowait' in words and 'x87' not in words:
        raise TableError('nowait is of x87 rows')
    only_register = set(kinds) & set('RUNT') and 'anymod' not in words
    if 'M' in kinds and only_register:
        raise TableError('memory and register only')
    mod = 1 if 'M' in kinds else 2 if only_register or modrm else 0
    mode = 1 if 'i64' in words else 2 if 'o64' in words else 0
    return Row(where, op, table_map, opcode, span, reg, modrm, mod, pfx, rex, mode, operands, words, flags,
               cpu, names)


def has_modrm(row):
    return bool(row.reg != 8 or row.modrm
                or any(o not in FIXED and o[0] in MODRM_KINDS for o in row.operands))


def modrm_bytes(row):
    """The ModRM bytes a row claims, by mod class and reg field: enough to tell rows apart."""
    if row.modrm:
        return {row.modrm}
    return {m for m in range(256) if (row.reg == 8 or m >> 3 & 7 == row.reg)
            and (row.mod == 0 or (row.mod == 2) == (m >= 0xc0))}


def overlap(a, b):
    return (a.pfx & b.pfx and (a.mode == b.mode or 0 in (a.mode, b.mode))
            and not any(x & m == m for x in [a.rex | b.rex] for m in (3, 12))
            and modrm_bytes(a) & modrm_bytes(b))


def index(rows):
    by = collections.defaultdict(list)
    for i, r in enumerate(rows):
        for k in range(r.span):
            for j in by[r.map, r.opcode + k]:
                if has_modrm(r) != has_modrm(rows[j]) and (r.mode == rows[j].mode or 0 in (r.mode, rows[j].mode)):
                    raise TableError(f'{rows[j].where} and {r.where} disagree about ModRM')
                if overlap(r, rows[j]):
                    raise TableError(f'{rows[j].where} and {r.where} both claim {r.opcode + k:02x}')
            by[r.map, r.opcode + k].append(i)
    return by


def handlers(rows):
    """exec_<op>, or the one handler of all rows that run on the host."""
    how = {}
    for r in rows:
        h = ('exec_host_x87' if 'x87' in r.words else 'exec_host') if 'host' in r.words else f'exec_{r.op}'
        if how.setdefault(r.op, h) != h:
            raise TableError(f'{r.where}: {r.op} has rows with and without host')
    return how


def operand(o):
    if o in FIXED:
        return f'{{ OPK_{o}, OPS_none }}'
    return f'{{ OPK_{o[0]}, OPS_{"none" if o[1] == "-" else o[1]} }}'


def mask(letters):
    return hex(sum(1 << FLAGS[x] for x in letters))


def enum(name, prefix, items):
    return f'typedef enum {name} {{\n' + ''.join(f'    {prefix}{x},\n' for x in items) + f'}} {name};\n\n'


def write_ops(f, rows, ops):
    f.write('#ifndef GEN_X86_OPS_H\n#define GEN_X86_OPS_H\n\n')
    f.write(enum('X86Op', 'OP_', [o.upper() for o in ops] + ['COUNT']))
    f.write(enum('X86OpKind', 'OPK_', ['none'] + list(KINDS) + FIXED))
    f.write(enum('X86OpSize', 'OPS_', ['none'] + [s for s in SIZES if s != '-']))
    features = sorted({r.cpu for r in rows if r.cpu})
    f.write('/* CPUID features that gate rows, under their names in /proc/cpuinfo. */\n')
    f.write(enum('X86CpuFeature', 'CPUF_', ['NONE'] + [x.upper() for x in features] + ['COUNT']))
    f.write('#define X86_CPU_FEATURES(X) \\\n'
            + ' \\\n'.join(f'    X(CPUF_{x.upper()}, "{x}")' for x in features) + '\n\n')
    f.write('enum {\n' + ''.join(f'    IN_{w.upper()} = 1 << {i},\n' for i, w in enumerate(WORDS)) + '};\n\n')
    f.write('enum { X86_PFX_NONE = 1, X86_PFX_66 = 2, X86_PFX_F3 = 4, X86_PFX_F2 = 8 };\n')
    f.write('enum { X86_REX_W0 = 1, X86_REX_W1 = 2, X86_REX_B0 = 4, X86_REX_B1 = 8 };\n\n#endif\n')


def write_rows(f, rows, by):
    f.write(f'enum {{ X86_ROW_COUNT = {len(rows)} }};\n')
    f.write('static const X86Row x86_rows[X86_ROW_COUNT] = {\n')
    for r in rows:
        words = ' | '.join('IN_' + x.upper() for x in sorted(r.words)) or '0'
        f.write(f'    {{ .op = OP_{r.op.upper()}, .reg = {r.reg}, .mod = {r.mod}, .pfx = {r.pfx}, '
                f'.rex = {r.rex}, .mode = {r.mode}, .has_modrm = {int(has_modrm(r))}, .modrm = {hex(r.modrm)}, '
                f'.map = {r.map}, .opcode = {hex(r.opcode)}, .words = {words}, '
                f'.operand = {{ {", ".join(operand(o) for o in r.operands) or "{ 0, 0 }"} }}, '
                f'.flags_read = {mask(r.flags["r"])}, .flags_written = {mask(r.flags["w"])}, '
                f'.flags_undefined = {mask(r.flags["u"])}, .cpu = CPUF_{r.cpu.upper() or "NONE"}, '
                f'.names = "{r.names}" }},\n')
    f.write('};\nstatic const uint16_t x86_candidates[] = {\n')
    first, pos = {}, 0
    for key in sorted(by):
        first[key] = (pos, len(by[key]))
        pos += len(by[key])
        f.write('    ' + ' '.join(f'{i},' for i in by[key]) + f' /* map {key[0]} {key[1]:02x} */\n')
    f.write('};\nstatic const struct { uint16_t first, count; } x86_index[4][256] = {\n')
    for (m, o), (p, n) in first.items():
        f.write(f'    [{m}][0x{o:02x}] = {{ {p}, {n} }},\n')
    f.write('};\n')


def main(args):
    if len(args) < 2:
        sys.exit(__doc__)
    outdir, *tables = args
    rows = [r for table in tables for r in parse(table)]
    by = index(rows)
    how = handlers(rows)
    ops = sorted(how)
    if outdir == '--check':
        print(f'{len(rows)} rows, {len(ops)} operations, {len(by)} opcodes claimed')
        return

    def out(name, write):
        with open(os.path.join(outdir, name), 'w', encoding='ascii') as f:
            f.write('/* Generated from the tables of target/x86/insn by scripts/gen-insn.py. */\n')
            write(f)

    def write_prototypes(f):
        f.write('#ifndef GEN_X86_EXEC_H\n#define GEN_X86_EXEC_H\n\n#include "target/x86/decode.h"\n\n')
        for h in sorted(set(how.values())):
            f.write(f'void {h}(X86Cpu *c, const X86Insn *in);\n')
        f.write('\n#endif\n')

    def write_table(f):
        for o in ops:
            f.write(f'[OP_{o.upper()}] = {how[o]},\n')

    out('x86-ops.h', lambda f: write_ops(f, rows, ops))
    out('x86-rows.c.inc', lambda f: write_rows(f, rows, by))
    out('x86-exec.h', write_prototypes)
    out('x86-exec-table.c.inc', write_table)


if __name__ == '__main__':
    try:
        main(sys.argv[1:])
    except TableError as e:
        sys.exit(f'gen-insn: {e}')
