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
    $__cargo_xtask_program completions fish -- $words 2>/dev/null
end

complete --command cargo --condition __cargo_xtask_is_ours --no-files --keep-order --arguments '(__cargo_xtask_offers)'
