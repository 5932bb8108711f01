"""A folder passed through FUSE, with faults that are switched while it is mounted.

    faulty_folder.py BACKING MOUNTPOINT

Each line on stdin is a list of rules, which replaces the one before. The first rule that fits an operation is what it meets:

    ops    names of operations (open, create, read, write, link, …), or "changes": all that write; without it all but getattr
    delay  seconds before it is done
    rate   bytes a second that reads and writes may do, all together
    after  bytes that the rule lets through before it begins
    error  a code (EIO, ENOSPC, EROFS, ESTALE, …) in place of doing it
    hang   true: it waits until other rules are set, and is done then

Answers on stdout: "mounted" once, "set N" to the Nth line of rules, "met N" when one of its rules first takes effect.
When stdin ends, so does the mount. Looking a path up (getattr) is free unless named: a kernel remembers names.
"""

import ctypes
import errno
import functools
import json
import os
import signal
import sys
import threading
import time

import mfusepy

CHANGES = {'create', 'write', 'link', 'rename', 'unlink', 'mkdir', 'rmdir', 'truncate', 'chmod', 'utimens', 'symlink'}


class Rules:
    """What operations meet at the moment."""

    def __init__(self):
        self.changed = threading.Condition()
        self.round = 0
        self.rules = []
        self.told = False

    def replace(self, rules):
        with self.changed:
            self.round += 1
            self.rules = rules
            self.told = False
            self.changed.notify_all()
            say(f'set {self.round}')

    def meet(self, op, size, opens_to_write):
        """Returns when the operation may be done; raises where it may not."""
        with self.changed:
            rule = next((rule for rule in self.rules if fits(rule, op, opens_to_write)), None)
            if rule is None:
                return
            if rule.get('after', 0) > 0:
                rule['after'] -= size
                return
            if not self.told:
                self.told = True
                say(f'met {self.round}')
            if rule.get('hang'):
                before = self.round
                self.changed.wait_for(lambda: self.round != before)
                return
            pause = rule.get('delay', 0)
            if 'rate' in rule:
                now = time.monotonic()
                rule['free_at'] = max(rule.get('free_at', 0), now) + size / rule['rate']
                pause += rule['free_at'] - now
        time.sleep(pause)
        if 'error' in rule:
            raise mfusepy.FuseOSError(getattr(errno, rule['error']))


def fits(rule, op, opens_to_write):
    ops = rule.get('ops')
    if ops is None:
        return op != 'getattr'
    return op in ops or ('changes' in ops and (op in CHANGES or opens_to_write))


class FaultyFolder(mfusepy.Operations):
    """Without `flush`: the kernel would wait for it in the exit of a process, where no signal ends a wait."""

    use_ns = True

    def __init__(self, backing, rules):
        self._backing = backing
        self._rules = rules

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if name.startswith('_') or name in ('init', 'init_with_config', 'destroy', 'use_ns', 'release') or not callable(value):
            return value
        if getattr(value, 'libfuse_ignore', False):
            return value
        return functools.partial(self._met, name, value)

    def _met(self, name, method, *args):
        size = args[1] if name == 'read' else len(args[1]) if name == 'write' else 0
        self._rules.meet(name, size, name == 'open' and args[1] & (os.O_WRONLY | os.O_RDWR) != 0)
        return method(*args)

    def _at(self, path):
        return self._backing + path

    def getattr(self, path, fh=None):
        found = os.fstat(fh) if fh is not None else os.lstat(self._at(path))
        names = ('st_mode', 'st_nlink', 'st_uid', 'st_gid', 'st_size', 'st_blocks', 'st_blksize', 'st_ino')
        times = {f'st_{name}': getattr(found, f'st_{name}_ns') for name in ('atime', 'mtime', 'ctime')}
        return {name: getattr(found, name) for name in names} | times

    def readdir(self, path, fh):
        return ['.', '..', *os.listdir(self._at(path))]

    def statfs(self, path):
        found = os.statvfs(self._at(path))
        return {name: getattr(found, name) for name in dir(found) if name.startswith('f_')}

    def open(self, path, flags):
        return os.open(self._at(path), flags & ~os.O_CREAT)

    def create(self, path, mode, fi=None):
        return os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def release(self, path, fh):
        os.close(fh)
        return 0

    def truncate(self, path, length, fh=None):
        os.truncate(fh if fh is not None else self._at(path), length)
        return 0

    def chmod(self, path, mode):
        os.chmod(self._at(path), mode)
        return 0

    def utimens(self, path, times=None):
        os.utime(self._at(path), ns=times)
        return 0

    def link(self, target, source):
        os.link(self._at(source), self._at(target))
        return 0

    def rename(self, old, new):
        os.rename(self._at(old), self._at(new))
        return 0

    def unlink(self, path):
        os.unlink(self._at(path))
        return 0

    def mkdir(self, path, mode):
        os.mkdir(self._at(path), mode)
        return 0

    def rmdir(self, path):
        os.rmdir(self._at(path))
        return 0

    def init(self, path):
        say('mounted')


def say(line):
    sys.stdout.write(f'{line}\n')
    sys.stdout.flush()


def listen(rules):
    for line in sys.stdin:
        rules.replace(json.loads(line))
    os.kill(os.getpid(), signal.SIGKILL)


def main(backing, mountpoint):
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    rules = Rules()
    threading.Thread(target=listen, args=(rules,), daemon=True).start()
    nothing_remembered = {'attr_timeout': 0, 'entry_timeout': 0, 'negative_timeout': 0, 'direct_io': True, 'hard_remove': True}
    mfusepy.FUSE(FaultyFolder(backing, rules), mountpoint, foreground=True, allow_other=False, **nothing_remembered)


main(*sys.argv[1:])
