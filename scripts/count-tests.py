#!/usr/bin/env python3
"""Add up what meson's test logs say and print the closing line of a check.

Usage: count-tests.py FAILED_STEPS BUILD_DIR...
"""
import json
import pathlib
import sys


def main(failed_steps, *builds):
    count = {'OK': 0, 'FAIL': 0, 'SKIP': 0}
    for build in builds:
        log = pathlib.Path(build) / 'meson-logs' / 'testlog.json'
        if not log.exists():
            continue
        for line in log.read_text().splitlines():
            test = json.loads(line)
            result = test['result'] if test['result'] in count else 'FAIL'
            if test['result'] == 'EXPECTEDFAIL':
                result = 'OK'
            count[result] += 1
            if result == 'FAIL':
                print(f'failed: {test["name"]} ({build})')
            elif result == 'SKIP':
                why = (test.get('stdout') or '').strip().splitlines()
                print(f'skipped: {test["name"]} ({build}): {why[-1] if why else "no reason given"}')
    steps = int(failed_steps)
    failed = max(count['FAIL'], 1) if steps else count['FAIL']
    print(f'{count["OK"]} passed, {failed} failed, {count["SKIP"]} skipped')
    return failed != 0 or count['OK'] == 0


sys.exit(main(*sys.argv[1:]))
