# Completion of `cargo xtask` for fish, printed by `cargo xtask completions fish`.

set -g __cargo_xtask_program PROGRAM_THAT_PRINTED_IT

# Is the line ours? Then prints its words from `xtask` on, the one under the cursor last.
function __cargo_xtask_words
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    for i in (seq 2 (count $words))
        switch $words[$i]
            case '+*' '-*'
            case xtask
                string join -- \n $words[$i..-1] (commandline --current-token --cut-at-cursor)
                return 0
            case '*'
                return 1
        end
    end
    return 1
end

function __cargo_xtask_is_ours
    __cargo_xtask_words >/dev/null
end

function __cargo_xtask_offers
    set -l words (__cargo_xtask_words)
    # fish tells of a program that is gone by itself, wherever its messages are sent.
    test -x $__cargo_xtask_program; and set -l offers ($__cargo_xtask_program completions fish -- $words 2>/dev/null)
    if set -q offers[1]
        string join -- \n $offers
    else
        # As without us: files.
        __fish_complete_path (commandline --current-token)
    end
end

complete --command cargo --condition __cargo_xtask_is_ours --no-files --keep-order --arguments '(__cargo_xtask_offers)'

# As completions/cargo.fish this file stands in front of the one that fish has for cargo: that one is read from here. Its
# conditions ask whether a word such as `check` or `test` is on the line, which is ours as well: so they ask us first.
function __cargo_xtask_seen_of_cargo
    not __cargo_xtask_is_ours; and __fish_seen_subcommand_from $argv
end

if string match --quiet '*/completions/cargo.fish' -- (status filename)
    set -l own (realpath (status dirname))
    set -l text
    for folder in $fish_complete_path
        if test -f $folder/cargo.fish; and test (realpath $folder) != $own
            set text (cat $folder/cargo.fish)
            break
        end
    end
    if not set -q text[1]
        # Newer ones have it within.
        set text (status get-file completions/cargo.fish 2>/dev/null)
    end
    string replace --all __fish_seen_subcommand_from __cargo_xtask_seen_of_cargo -- $text | source
end
