"""The benchmark's guest: an initramfs with the work programs, real programs from this machine's packages,
and an /init that does what its list says and tells when each piece begins and ends."""
import gzip
import os
import re
import shutil
import subprocess
import tempfile

INIT = '''#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
$b mount -t tmpfs tmp /tmp
$b --install -s /bin 2>/dev/null
export PATH=/usr/bin:/bin HOME=/tmp LC_ALL=C
cd /tmp
while read -r name command; do
    echo "@begin $name"
    sh -c "$command" >/tmp/out 2>&1 </dev/null
    status=$?
    [ $status = 0 ] || cat /tmp/out
    echo "@end $name $status $(tail -n 1 /tmp/out | tr -d '\\r')"
done </work.list
poweroff -f
'''

# Real programs: what they do is written so that it can run in /tmp here and there.
PYTHON = '''
import hashlib, json, re
words = [("w%d" % (i * 7919 % 5000)) for i in range(60000)]
count = {}
for w in words:
    count[w] = count.get(w, 0) + 1
text = json.dumps(count)
back = json.loads(text)
found = len(re.findall(r'"w\\d*7\\d*"', text))
primes = [n for n in range(2, 6000) if all(n % d for d in range(2, int(n ** 0.5) + 1))]
print(len(back), found, sum(primes), hashlib.md5(text.encode()).hexdigest())
'''
SQL = '''
create table t(a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 40000)
  insert into t select i, 'row ' || (i * 7919 % 10007), i * 0.5 from n;
create index tb on t(b);
select count(*), sum(c), max(b) from t where b like 'row 1%';
select sum(x.a) from t x join t y on x.b = y.b where x.a < 3000;
'''
REAL = {
    'gzip': 'gzip -6 -c /data/text | gzip -d | md5sum',
    'openssl': 'for i in 1 2 3 4 5 6; do openssl dgst -sha512 /data/text; openssl enc -aes-128-cbc -K 00 -iv 00 '
               '-in /data/text 2>/dev/null | md5sum; done',
    'python3': 'python3 -S /data/job.py',
    'sqlite3': 'sqlite3 :memory: < /data/job.sql',
    'gcc': 'gcc -O2 -w -nostdinc -S -o - /data/job.c | md5sum',
}


def libraries(path):
    out = subprocess.run(['ldd', path], capture_output=True, text=True).stdout
    return re.findall(r'(/\S+) \(0x', out)


def copy(root, path):
    """A file, and what it links to, at the place where it is here."""
    real = os.path.realpath(path)
    for p in {path, real}:
        target = root + p
        if os.path.lexists(target):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(real, target)


def copy_program(root, path):
    copy(root, path)
    for library in libraries(os.path.realpath(path)):
        copy(root, library)


def data(folder):
    """The files that the real programs work on."""
    os.makedirs(folder, exist_ok=True)
    with open(f'{folder}/text', 'w', encoding='ascii') as f:
        x = 1
        for i in range(40000):
            x = x * 1103515245 + 12345 & 0x7fffffff
            f.write(f'line {i}: the guest reads {x % 997} pages and writes {x >> 12 & 255}, then {x:x}\n')
    with open(f'{folder}/job.py', 'w', encoding='ascii') as f:
        f.write(PYTHON)
    with open(f'{folder}/job.sql', 'w', encoding='ascii') as f:
        f.write(SQL)
    with open(f'{folder}/job.c', 'w', encoding='ascii') as f:
        for i in range(120):
            f.write(f'int f{i}(int *p, int n) {{ int s = {i}; for (int i = 0; i < n; i++) {{ s += p[i] * (i ^ {i});'
                    f' if (s & {i + 1}) s = s / {i + 3} + p[s & 7]; else s ^= s << {i % 13 + 1}; }} return s; }}\n')


def real_programs(root):
    """Which of REAL can be had here; their files go below root."""
    have = []
    for name in REAL:
        path = shutil.which(name, path='/usr/bin:/bin')
        if not path:
            continue
        copy_program(root, path)
        if name == 'gcc':
            cc1 = subprocess.run([path, '-print-prog-name=cc1'], capture_output=True, text=True).stdout.strip()
            copy_program(root, cc1)
        if name == 'python3':
            version = os.path.basename(os.path.realpath(path))
            for sub in ('', 'json', 're', 'encodings', 'collections', 'importlib'):
                folder = f'/usr/lib/{version}/{sub}'
                for f in os.listdir(folder):
                    if f.endswith('.py') and os.path.isfile(f'{folder}/{f}'):
                        copy(root, os.path.join(folder, f))
        have.append(name)
    return have


def make(file, busybox, programs, jobs, more=()):
    """programs: name -> file, put into /bin; jobs: [(name, command)]; more: programs with their libraries."""
    with tempfile.TemporaryDirectory() as root:
        for folder in ('bin', 'dev', 'proc', 'sys', 'tmp', 'data', 'usr/bin'):
            os.makedirs(f'{root}/{folder}')
        shutil.copy2(busybox, f'{root}/bin/busybox')
        for name, path in programs.items():
            shutil.copy2(path, f'{root}/bin/{name}')
        wanted = {name for name, _ in jobs}
        if wanted & set(REAL):
            real_programs(root)
        for path in more:
            copy_program(root, path)
        data(f'{root}/data')
        with open(f'{root}/init', 'w', encoding='ascii') as f:
            f.write(INIT)
        os.chmod(f'{root}/init', 0o755)
        with open(f'{root}/work.list', 'w', encoding='ascii') as f:
            f.writelines(f'{name} {command}\n' for name, command in jobs)
        names = subprocess.run(['find', '.'], cwd=root, capture_output=True, check=True).stdout
        archive = subprocess.run(['cpio', '--quiet', '-o', '-H', 'newc', '-R', '0:0'], cwd=root, input=names,
                                 capture_output=True, check=True).stdout
    with open(file, 'wb') as f:
        f.write(gzip.compress(archive, 1))
