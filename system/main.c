/*
 * main() - parse the command line, build the machine, run it.
 */
#include <stdio.h>

int main(void)
{
    puts("tinamou");
    return 0;
}
