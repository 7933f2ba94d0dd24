"""STAND-IN for nixos-rebuild, for the rehearsal lab only; it is not nixos-rebuild-ng and holds none of its code.

It takes the real one's arguments and does, with Debian's Nix, what the real one does: the same commands on the
same machines in the same order, the same single line on stdout, the same exit codes. That includes what is unpleasant
about them: the profile moves before the activation is tried, the unit outlives the client, and an ssh that fails at
`test -d /run/systemd/system` makes the activation run without a unit. A deployer that believes too much must fail here
as it would out there.

    main.py        from argv to an exit code
    arguments.py   the command line, as data
    processes.py   one place that starts processes, here or on a host
    build.py       evaluate, build, copy
    activate.py    profile, unit, rollback

Where Nix 2.8 is too old for the real command line, and nowhere else, another one is used: `build --json` in place of
`build --print-out-paths`, and `DRV` in place of `DRV^*`, which a newer one gets.

Refused with exit code 2, rather than imitated badly: options that the six actions do without (--file, --attr,
--profile-name, --specialisation, --upgrade, --diff, …), every prompt for a password, run0, and the actions that are
not about a running system.
"""
