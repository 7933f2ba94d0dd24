# Completion of `cargo xtask` for zsh, printed by `cargo xtask completions zsh`.

(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }

typeset -g _cargo_xtask_program=PROGRAM_THAT_PRINTED_IT

_cargo_xtask() {
    # Is the line ours? Then which of its words is `xtask`.
    local -i i at=0
    for (( i = 2; i < CURRENT; i++ )); do
        case $words[i] in
            (+*|-*) ;;
            (xtask) at=i; break ;;
            (*) break ;;
        esac
    done
    if (( ! at )); then
        # Every other line of cargo's goes to the completion that was there before.
        ${_cargo_xtask_before:-_default} "$@"
        return
    fi

    local line value entry
    local -a typed whole open
    typed=("${(Q)words[at,CURRENT-1][@]}" "${(Q)PREFIX}")
    while IFS= read -r line; do
        value=${line%%$'\t'*}
        entry=${value//:/\\:}
        [[ $line == *$'\t'* ]] && entry+=:${line#*$'\t'}
        # A folder or a `NAME=` goes on.
        if [[ $value == *[=/] ]]; then open+=($entry); else whole+=($entry); fi
    done < <($_cargo_xtask_program completions zsh -- "${typed[@]}" 2>/dev/null)

    local -i found=1
    (( $#whole )) && _describe -V 'cargo xtask' whole && found=0
    (( $#open )) && _describe -V 'cargo xtask' open -S '' && found=0
    (( found )) && _default
}

if [[ ${_comps[cargo]} != _cargo_xtask ]]; then
    typeset -g _cargo_xtask_before=${_comps[cargo]}
fi
compdef _cargo_xtask cargo
