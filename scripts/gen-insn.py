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
KINDS = 'EGMRSCDZIJOAXYVWUPQNTHBLkhmn'
MODRM_KINDS = set('EGMRSCDVWUPQNTkmn')
MEMORY_KINDS = set('EMWQm')             # what a ModRM with mod < 3 may name memory for
VECTOR_KINDS = set('VWUHL')
OPMASK_KINDS = set('khmn')
VVVV_KINDS = set('HBh')
SIZES = 'bcwdqvzypasxtfheoi-'
REQUIREMENTS = {'np': 1, '66': 2, 'f3': 4, 'f2': 8, 'nf': 3, 'n3': 11}     # mandatory prefixes: a set
REX = {'w0': 1, 'w1': 2, 'b0': 4, 'b1': 8}
MAPS = {'': 0, '0f': 1, '0f38': 2, '0f3a': 3, 'map5': 5, 'map6': 6}
LEGACY, VEX, EVEX = range(3)
ENCODINGS = {'v': VEX, 'e': EVEX}
LENGTHS = {'l0': 1, 'l1': 2, 'l2': 4}
ANY_LENGTH = {LEGACY: 0, VEX: 3, EVEX: 7}
FLAGS = {'o': 11, 's': 7, 'z': 6, 'a': 4, 'p': 2, 'c': 0}
WORDS = ['lock', 'i64', 'o64', 'd64', 'f64', 'cpl0', 'iopl', 'prot', 'ends', 'rep', 'repz', 'anymod',
         'host', 'x87', 'nowait', 'fp', 'loose', 'aligned', 'eax', 'ecx', 'edx', 'xmm0', 'avx', 'avx512',
         # derived, never written in the table
         'sse', 'mmx']
DERIVED = {'sse', 'mmx'}
EVEX_WORDS = ['er', 'sae', 'nz', 'nk0', 'expand', 'distinct', 'whole']
SIZED = {'mask': (8, 16, 32, 64), 'bcst': (16, 32, 64), 'vsib': (32, 64)}      # attributes with a number

Encoding = collections.namedtuple('Encoding', 'enc map opcode span reg modrm pfx rex lengths lig')
Row = collections.namedtuple(
    'Row', 'where op e mod mode operands words flags cpu cpu256 names evex sized')


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


def parse_demands(text):
    """What stands before the map: encoding, lengths, LIG, mandatory prefix, REX demands."""
    enc, lengths, lig, pfx, rex = LEGACY, 0, False, 0, 0
    for p in text.split('.')[:-1]:
        if p in ENCODINGS:
            enc = ENCODINGS[p]
        elif p in LENGTHS:
            lengths |= LENGTHS[p]
        elif p == 'lig':
            lig = True
        elif p in REX:
            rex |= REX[p]
        elif pfx:
            raise TableError(f'two demands on the mandatory prefix in {text}')
        else:
            pfx = REQUIREMENTS[p]
    if rex & 3 == 3 or rex & 12 == 12:
        raise TableError(f'contradictory REX demands in {text}')
    if lig and lengths:
        raise TableError(f'a length demanded and ignored in {text}')
    if enc == LEGACY and (lengths or lig):
        raise TableError(f'{text} has no vector length')
    if enc != LEGACY and (pfx not in (1, 2, 4, 8) or rex & 12):
        raise TableError(f'{text}: VEX and EVEX have one of np 66 f3 f2, and no b0 or b1')
    if lengths & 4 and enc == VEX:
        raise TableError(f'{text}: VEX has no 512-bit vectors')
    return enc, lengths or ANY_LENGTH[enc], lig, pfx or 15, rex


def parse_encoding(enc):
    m = re.fullmatch(r'((?:(?:v|e|l0|l1|l2|lig|np|nf|n3|66|f3|f2|w0|w1|b0|b1)\.)*)(?:(0f38|0f3a|0f|map5|map6)\.)?'
                     r'([0-9a-f]{2})(?:/([0-7])|=([0-9a-f]{2})|(\+[rc]))?', enc)
    if not m:
        raise TableError(f'encoding {enc}')
    form, lengths, lig, pfx, rex = parse_demands(m[1])
    table_map = MAPS[m[2] or '']
    if form != LEGACY and not table_map or table_map > 3 and form != EVEX:
        raise TableError(f'no such opcode map in {enc}')
    opcode, span = int(m[3], 16), {'+r': 8, '+c': 16}.get(m[6], 1)
    if opcode % span:
        raise TableError(f'{m[3]} does not start a group of {span}')
    modrm = int(m[5], 16) if m[5] else 0
    if m[5] and modrm < 0xc0:
        raise TableError(f'ModRM {m[5]} is not a whole opcode: it names memory')
    return Encoding(form, table_map, opcode, span, int(m[4]) if m[4] else 8, modrm, pfx, rex, lengths, lig)


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
    evex, sized, seen = set(), dict.fromkeys(SIZED, 0), set()
    for a in attrs:
        number = re.fullmatch(r'(mask|bcst|vsib)([0-9]+)', a)
        key = number[1] if number else a.split(':')[0]
        if key in seen:
            raise TableError(f'{key} twice')
        seen.add(key)
        if key in flags and ':' in a:
            if set(a[2:]) - set(FLAGS):
                raise TableError(f'flags {a}')
            flags[key] = a[2:]
        elif a.startswith('cpu:') and re.fullmatch(r'[a-z0-9_]+([|][a-z0-9_]+)?', a[4:]):
            cpu = a[4:]
        elif a.startswith('n:') and re.fullmatch(r'[a-z0-9_@|{}]+', a[2:]):
            names = a[2:]
        elif a in WORDS and a not in DERIVED:
            words.add(a)
        elif a in EVEX_WORDS:
            evex.add(a)
        elif number and int(number[2]) in SIZED[key]:
            sized[key] = int(number[2]) // 8
        else:
            raise TableError(f'attribute {a}')
    if set(flags['w']) & set(flags['u']):
        raise TableError('a flag both written and undefined')
    return flags, words, cpu, names, evex, sized


def check_vex(e, kinds, memory, words, evex, sized, cpu):
    """What only VEX and EVEX rows may say, and must."""
    if e.enc == LEGACY:
        if set(kinds) & (VVVV_KINDS | OPMASK_KINDS | {'L'}):
            raise TableError('operands that only VEX and EVEX can name')
        if '|' in cpu:
            raise TableError('a feature of the vector length is of VEX rows')
    if e.enc != EVEX and (evex - {'distinct'} or sized['mask'] or sized['bcst']):
        raise TableError('masks, broadcast and rounding are of EVEX rows')
    if e.enc == LEGACY and (evex or sized['vsib'] or words & {'avx', 'avx512', 'aligned'}):
        raise TableError('avx, aligned, distinct and vsib are of VEX and EVEX rows')
    if len(set(kinds) & VVVV_KINDS) > 1 or len([k for k in kinds if k in VVVV_KINDS]) > 1:
        raise TableError('two operands of vvvv')
    if sized['bcst'] and not memory or sized['vsib'] and 'M' not in kinds:
        raise TableError('broadcast and vsib are of memory operands')
    if evex & {'nz', 'nk0', 'expand', 'whole'} and not sized['mask']:
        raise TableError('nz, nk0, expand and whole are of rows with a mask')


def derived_words(e, operands, kinds, memory, words):
    vector = set(kinds) & VECTOR_KINDS or 'XMM0' in operands
    if e.enc == EVEX or set(kinds) & OPMASK_KINDS:
        words.add('avx512')
    elif vector:
        words.add('avx' if e.enc == VEX else 'sse')
    if set(kinds) & set('PQN'):
        words.add('mmx')
    if {'fp', 'loose'} & words and not words & {'sse', 'mmx', 'avx', 'avx512'}:
        raise TableError('fp and loose are of vector rows')
    if 'sse' in words and memory and memory[0][1] == 'x' and 'loose' not in words:
        words.add('aligned')


def parse_row(where, op, enc, operands, *attrs):
    if not re.fullmatch(r'[a-z][a-z0-9_]*', op):
        raise TableError(f'operation {op}')
    e = parse_encoding(enc)
    operands = parse_operands(operands)
    flags, words, cpu, names, evex, sized = parse_attributes(op, attrs)
    kinds = [o[0] for o in operands if o not in FIXED]
    memory = [o for o in operands if o not in FIXED and o[0] in MEMORY_KINDS]
    if 'lock' in words and not (operands and operands[0] in memory):
        raise TableError('lock without a memory destination')
    if {'i64', 'o64'} <= words:
        raise TableError('a row for no mode')
    if len(memory) > 1:
        raise TableError('two operands of ModRM r/m')
    if e.modrm and (memory or 'R' in kinds):
        raise TableError('a fixed ModRM byte leaves no operand to name')
    check_vex(e, kinds, memory, words, evex, sized, cpu)
    derived_words(e, operands, kinds, memory, words)
    if 'nowait' in words and 'x87' not in words:
        raise TableError('nowait is of x87 rows')
    only_register = set(kinds) & set('RUNTn') and 'anymod' not in words
    if 'M' in kinds and only_register:
        raise TableError('memory and register only')
    mod = 1 if 'M' in kinds else 2 if only_register or e.modrm else 0
    mode = 1 if 'i64' in words else 2 if 'o64' in words else 0
    narrow, _, wide = cpu.partition('|')
    return Row(where, op, e, mod, mode, operands, words, flags, narrow, wide or narrow, names, evex, sized)


def has_modrm(row):
    return bool(row.e.reg != 8 or row.e.modrm
                or any(o not in FIXED and o[0] in MODRM_KINDS for o in row.operands))


def modrm_bytes(row):
    """The ModRM bytes a row claims, by mod class and reg field: enough to tell rows apart."""
    if row.e.modrm:
        return {row.e.modrm}
    return {m for m in range(256) if (row.e.reg == 8 or m >> 3 & 7 == row.e.reg)
            and (row.mod == 0 or (row.mod == 2) == (m >= 0xc0))}


def overlap(a, b):
    return (a.e.pfx & b.e.pfx and (a.mode == b.mode or 0 in (a.mode, b.mode))
            and (a.e.enc == LEGACY or a.e.lengths & b.e.lengths)
            and not any(x & m == m for x in [a.e.rex | b.e.rex] for m in (3, 12))
            and modrm_bytes(a) & modrm_bytes(b))


def index(rows):
    by = collections.defaultdict(list)
    for i, r in enumerate(rows):
        for k in range(r.e.span):
            key = r.e.enc * 8 + r.e.map, r.e.opcode + k
            for j in by[key]:
                if has_modrm(r) != has_modrm(rows[j]) and (r.mode == rows[j].mode or 0 in (r.mode, rows[j].mode)):
                    raise TableError(f'{rows[j].where} and {r.where} disagree about ModRM')
                if overlap(r, rows[j]):
                    raise TableError(f'{rows[j].where} and {r.where} both claim {r.e.opcode + k:02x}')
            by[key].append(i)
    return by


def handlers(rows):
    """exec_<op>, or the one handler of all rows that run on the host."""
    how = {}
    for r in rows:
        h = f'exec_{r.op}'
        if 'host' in r.words:
            h = 'exec_host_x87' if 'x87' in r.words else 'exec_host' if r.e.enc == LEGACY else 'exec_host_vex'
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
    features = sorted({x for r in rows for x in (r.cpu, r.cpu256) if x})
    f.write('/* CPUID features that gate rows, under their names in /proc/cpuinfo. */\n')
    f.write(enum('X86CpuFeature', 'CPUF_', ['NONE'] + [x.upper() for x in features] + ['COUNT']))
    f.write('#define X86_CPU_FEATURES(X) \\\n'
            + ' \\\n'.join(f'    X(CPUF_{x.upper()}, "{x}")' for x in features) + '\n\n')
    f.write('enum {\n' + ''.join(f'    IN_{w.upper()} = 1 << {i},\n' for i, w in enumerate(WORDS)) + '};\n')
    f.write('enum {\n' + ''.join(f'    EVEX_{w.upper()} = 1 << {i},\n' for i, w in enumerate(EVEX_WORDS)) + '};\n\n')
    f.write('typedef enum X86Encoding { X86_LEGACY, X86_VEX, X86_EVEX } X86Encoding;\n')
    f.write('enum { X86_PFX_NONE = 1, X86_PFX_66 = 2, X86_PFX_F3 = 4, X86_PFX_F2 = 8 };\n')
    f.write('enum { X86_REX_W0 = 1, X86_REX_W1 = 2, X86_REX_B0 = 4, X86_REX_B1 = 8 };\n\n#endif\n')


def write_rows(f, rows, by):
    f.write(f'enum {{ X86_ROW_COUNT = {len(rows)} }};\n')
    f.write('static const X86Row x86_rows[X86_ROW_COUNT] = {\n')
    for r in rows:
        words = ' | '.join('IN_' + x.upper() for x in sorted(r.words)) or '0'
        evex = ' | '.join('EVEX_' + x.upper() for x in sorted(r.evex)) or '0'
        f.write(f'    {{ .op = OP_{r.op.upper()}, .reg = {r.e.reg}, .mod = {r.mod}, .pfx = {r.e.pfx}, '
                f'.rex = {r.e.rex}, .mode = {r.mode}, .has_modrm = {int(has_modrm(r))}, .modrm = {hex(r.e.modrm)}, '
                f'.enc = {r.e.enc}, .map = {r.e.map}, .opcode = {hex(r.e.opcode)}, .words = {words}, '
                f'.operand = {{ {", ".join(operand(o) for o in r.operands) or "{ 0, 0 }"} }}, '
                f'.lengths = {r.e.lengths}, .lig = {int(r.e.lig)}, .evex = {evex}, .mask = {r.sized["mask"]}, '
                f'.bcst = {r.sized["bcst"]}, .vsib = {r.sized["vsib"]}, '
                f'.flags_read = {mask(r.flags["r"])}, .flags_written = {mask(r.flags["w"])}, '
                f'.flags_undefined = {mask(r.flags["u"])}, .cpu = CPUF_{r.cpu.upper() or "NONE"}, '
                f'.cpu256 = CPUF_{r.cpu256.upper() or "NONE"}, .names = "{r.names}" }},\n')
    f.write('};\nstatic const uint16_t x86_candidates[] = {\n')
    first, pos = {}, 0
    for key in sorted(by):
        first[key] = (pos, len(by[key]))
        pos += len(by[key])
        f.write('    ' + ' '.join(f'{i},' for i in by[key]) + f' /* map {key[0]} {key[1]:02x} */\n')
    f.write('};\nstatic const struct { uint16_t first, count; } x86_index[24][256] = {\n')
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
