"""Answers every question of a program with a passphrase: terminal.py PASSPHRASE PROGRAM [ARGUMENT...]

age and rage take passphrases from a terminal and from nothing else, so the program gets one of its own. What it
says there goes to standard error; its results have to go to a file (-o), since a terminal alters bytes.
"""

import os
import pty
import signal
import sys

# Far above what a passphrase costs; a program that waits for something else is ended.
SECONDS = 120

passphrase, *argv = sys.argv[1:]
# Else rage asks in a window where the machine has a pinentry.
os.environ["PINENTRY_PROGRAM"] = ""

pid, terminal = pty.fork()
if pid == 0:
    os.execvp(argv[0], argv)

# It ends this process; with the terminal gone, the program gets a hang-up.
signal.alarm(SECONDS)
unanswered = b""
while True:
    try:
        said = os.read(terminal, 4096)
    except OSError:  # How Linux says that the program has closed the terminal.
        break
    sys.stderr.buffer.write(said)
    unanswered += said
    if unanswered.rstrip().endswith(b":"):
        os.write(terminal, passphrase.encode() + b"\n")
        unanswered = b""

_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
