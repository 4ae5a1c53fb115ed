/*
 * monitor/expr.c - the expressions of print, x and the like: 64-bit integers, C's operators and
 * precedence, registers as $name.
 *
 * Recursive descent with a bound on its depth; arithmetic wraps.
 */
#include "monitor/command.h"
#include "util/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

typedef struct Expr {
    const char *p;
    X86Cpu *cpu;
    unsigned depth;
} Expr;

static const struct Operator {
    char text[3];
    int precedence;
} operators[] = {
    { "|", 1 }, { "^", 2 }, { "&", 3 }, { "<<", 4 }, { ">>", 4 }, { "+", 5 }, { "-", 5 }, { "*", 6 },
    { "/", 6 }, { "%", 6 },
};

static bool binary(Expr *e, int least, int64_t *value, GError **errp);

static void skip_blanks(Expr *e)
{
    while (*e->p == ' ' || *e->p == '\t') {
        e->p++;
    }
}

static bool number(Expr *e, int64_t *value, GError **errp)
{
    const char *start = e->p;
    char *end;

    errno = 0;
    *value = strtoull(start, &end, 0);
    if (errno == ERANGE || g_ascii_isalnum(*end) || *end == '_') {
        while (g_ascii_isalnum(*end) || *end == '_') {
            end++;
        }
        error_set(errp, "'%.*s' is not a number", (int)MIN(end - start, 40), start);
        return false;
    }
    e->p = end;
    return true;
}

static bool register_value(Expr *e, int64_t *value, GError **errp)
{
    char name[16];
    size_t n = 0;
    uint64_t v;

    e->p++;
    while (g_ascii_isalnum(*e->p) || *e->p == '_') {
        if (n < sizeof(name) - 1) {
            name[n++] = *e->p;
        }
        e->p++;
    }
    name[n] = 0;
    if (e->cpu && !strcmp(name, "pc")) {        /* where it executes, as a linear address */
        *value = e->cpu->regs[X86_RIP] + (x86_code_bits(e->cpu) == 64 ? 0 : e->cpu->seg[X86_CS].base);
        return true;
    }
    if (!e->cpu || !x86_register_value(e->cpu, name, &v)) {
        error_set(errp, "there is no register '$%s'", name);
        return false;
    }
    *value = v;
    return true;
}

static bool primary(Expr *e, int64_t *value, GError **errp)
{
    skip_blanks(e);
    if (g_ascii_isdigit(*e->p)) {
        return number(e, value, errp);
    }
    if (*e->p == '$') {
        return register_value(e, value, errp);
    }
    if (*e->p == '\'' && e->p[1] && e->p[2] == '\'') {
        *value = (uint8_t)e->p[1];
        e->p += 3;
        return true;
    }
    if (*e->p == '(') {
        e->p++;
        if (!binary(e, 0, value, errp)) {
            return false;
        }
        skip_blanks(e);
        if (*e->p != ')') {
            error_set(errp, "a ')' is missing");
            return false;
        }
        e->p++;
        return true;
    }
    if (*e->p) {
        error_set(errp, "'%.20s' is no value: numbers, $register, 'c', ( ) are", e->p);
    } else {
        error_set(errp, "a value is missing");
    }
    return false;
}

static bool unary(Expr *e, int64_t *value, GError **errp)
{
    char op;
    bool ok;

    skip_blanks(e);
    op = *e->p;
    if (!op || !strchr("-+~!", op)) {
        return primary(e, value, errp);
    }
    if (++e->depth > MAX_DEPTH) {
        error_set(errp, "the expression is nested too deeply");
        return false;
    }
    e->p++;
    ok = unary(e, value, errp);
    e->depth--;
    if (ok) {
        *value = op == '-' ? (int64_t)-(uint64_t)*value : op == '~' ? ~*value : op == '!' ? !*value : *value;
    }
    return ok;
}

static const struct Operator *next_operator(Expr *e)
{
    skip_blanks(e);
    for (unsigned i = 0; i < G_N_ELEMENTS(operators); i++) {
        if (g_str_has_prefix(e->p, operators[i].text)) {
            return &operators[i];
        }
    }
    return NULL;
}

static bool apply(char op, int64_t *value, int64_t right, GError **errp)
{
    uint64_t a = *value, b = right;

    switch (op) {
    case '|':
        a |= b;
        break;
    case '^':
        a ^= b;
        break;
    case '&':
        a &= b;
        break;
    case '<':
        a = b > 63 ? 0 : a << b;
        break;
    case '>':
        a = b > 63 ? 0 : a >> b;
        break;
    case '+':
        a += b;
        break;
    case '-':
        a -= b;
        break;
    case '*':
        a *= b;
        break;
    default:            /* / and %, unsigned: addresses are */
        if (!b) {
            error_set(errp, "division by zero");
            return false;
        }
        a = op == '/' ? a / b : a % b;
        break;
    }
    *value = a;
    return true;
}

/* Operators of at least this precedence, from the left. */
static bool binary(Expr *e, int least, int64_t *value, GError **errp)
{
    const struct Operator *op;
    int64_t right;
    bool ok;

    if (++e->depth > MAX_DEPTH) {
        error_set(errp, "the expression is nested too deeply");
        return false;
    }
    ok = unary(e, value, errp);
    while (ok && (op = next_operator(e)) && op->precedence >= least) {
        e->p += strlen(op->text);
        ok = binary(e, op->precedence + 1, &right, errp) && apply(op->text[0], value, right, errp);
    }
    e->depth--;
    return ok;
}

bool expr_eval(const char **text, X86Cpu *cpu, int64_t *value, GError **errp)
{
    Expr e = { .p = *text, .cpu = cpu };
    bool ok = binary(&e, 0, value, errp);

    *text = e.p;
    return ok;
}
