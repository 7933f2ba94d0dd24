# Completion of `cargo xtask` for bash, printed by `cargo xtask completions bash`.
# shellcheck shell=bash

_cargo_xtask_program=PROGRAM_THAT_PRINTED_IT

# Is the line ours? Then which of its words is `xtask`.
_cargo_xtask_at() {
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            +* | -*) ;;
            xtask) REPLY=$i && return 0 ;;
            *) return 1 ;;
        esac
    done
    return 1
}

_cargo_xtask() {
    local REPLY
    if ! _cargo_xtask_at; then
        _cargo_xtask_other "$@"
        return
    fi

    # bash cuts words at `=` and `:`, cargo does not. `$2` is what of the current word stands before the cursor.
    local words=() word i glued=
    for ((i = REPLY; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i == COMP_CWORD)) && [[ $word != [=:]* ]]; then word=$2; fi
        if ((${#words[@]})) && [[ -n $glued || $word == [=:]* ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        if [[ $word == [=:]* ]]; then glued=yes; else glued=; fi
    done

    # An offer begins where bash cut last.
    local line last=${words[${#words[@]} - 1]}
    last=${last%"$2"}
    COMPREPLY=()
    while IFS= read -r line; do
        line=${line#"$last"}
        # A file or a tag may be called anything: `$(…)` in it is no command of the person's.
        if [[ $line == *[!A-Za-z0-9_./:=@%+,-]* ]]; then printf -v line %q "$line"; fi
        COMPREPLY+=("$line")
    done < <("$_cargo_xtask_program" completions bash -- "${words[@]}" 2>/dev/null)
    # A folder or a `NAME=` goes on.
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

# Every other line of cargo's goes to the completion that was there before, loaded only now if bash-completion loads on demand.
_cargo_xtask_other() {
    if [[ -z $_cargo_xtask_before ]] && declare -F _completion_loader >/dev/null; then
        _completion_loader cargo >/dev/null 2>&1
        _cargo_xtask_remember
        complete -o bashdefault -o default -F _cargo_xtask cargo
    fi
    if [[ -n $_cargo_xtask_before ]]; then "$_cargo_xtask_before" "$@"; fi
}

_cargo_xtask_remember() {
    local spec
    spec=$(complete -p cargo 2>/dev/null) || return
    if [[ $spec =~ -F\ ([^ ]+) && ${BASH_REMATCH[1]} != _cargo_xtask && ${BASH_REMATCH[1]} != _minimal ]]; then
        _cargo_xtask_before=${BASH_REMATCH[1]}
    fi
}

_cargo_xtask_before=${_cargo_xtask_before-}
_cargo_xtask_remember
complete -o bashdefault -o default -F _cargo_xtask cargo
