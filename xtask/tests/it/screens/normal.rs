//! What is the same each time: times, hashes and counts of a screen replaced by signs of the same width, and lines of hosts
//! that were worked on side by side put in their order.

/// The whole of a screen.
pub(crate) fn normal(lines: &[String]) -> String {
    let mut lines: Vec<String> = lines.iter().map(|line| without_numbers(line)).collect();
    let mut at = 0;
    while at < lines.len() {
        let end = lines[at..].iter().take_while(|line| is_settled(line)).count();
        // Each host's own lines stay as they are.
        lines[at..at + end].sort_by_key(|line| subject(line).to_owned());
        at += end + 1;
    }
    lines.join("\n") + "\n"
}

/// A line of a step that has ended.
pub(crate) fn is_settled(line: &str) -> bool {
    ["  ✓ ", "  – "].iter().any(|mark| line.starts_with(mark))
}

/// A line of a step that is under way.
pub(crate) fn is_running(line: &str) -> bool {
    line.strip_prefix("  ")
        .and_then(|line| line.chars().next())
        .is_some_and(|sign| "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏".contains(sign))
}

/// Any line that is drawn anew each time.
pub(crate) fn is_live(line: &str) -> bool {
    is_running(line) || (line.contains(" steps · ") && line.contains(['━', '─'])) || line.contains(" more: ")
}

/// Whose line it is.
pub(crate) fn subject(line: &str) -> &str {
    line.split_whitespace().nth(1).unwrap_or_default()
}

fn without_numbers(line: &str) -> String {
    counts(&hashes(&times(&store_paths(line))))
}

/// `/nix/store/…-wrong.drv`
fn store_paths(line: &str) -> String {
    let mut parts = line.split("/nix/store/");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let hash = part.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let shown = if hash == 32 { format!("{}{}", "#".repeat(32), &part[32..]) } else { part.to_owned() };
        out += &format!("/nix/store/{shown}");
    }
    out
}

/// `    0.4 s` and `     12 s` become `      T s`.
fn times(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(" s") {
        let (front, back) = rest.split_at(at);
        let number = front.len() - front.trim_end_matches(|it: char| it.is_ascii_digit() || it == '.').len();
        let ends = back[2..].chars().next().is_none_or(|it| !it.is_alphanumeric());
        if number > 0 && ends {
            out.push_str(&front[..front.len() - number]);
            // In a column it is the column that keeps its width.
            if front[..front.len() - number].ends_with("  ") {
                out.push_str(&" ".repeat(number - 1));
            }
            out.push_str("T s");
        } else {
            out.push_str(front);
            out.push_str(" s");
        }
        rest = &back[2..];
    }
    out + rest
}

/// `ocean-26.05 (rpxpbn76)` becomes `ocean-26.05 (########)`, also where it is cut off; so does a CA's hash in a token.
fn hashes(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['(', 'K']) {
        let mark = if rest[at..].starts_with("K10") { 3 } else { 1 };
        let (front, back) = rest.split_at(at + mark);
        let hash = back.bytes().take_while(|it| it.is_ascii_digit() || it.is_ascii_lowercase()).count();
        let after = &back[hash..];
        let whole = after.starts_with(')') && hash == 8;
        let cut_off = (after.is_empty() || after == "…") && hash <= 8;
        let is_hash = if mark == 3 { hash > 0 } else { front.ends_with('(') && (whole || cut_off) };
        out.push_str(front);
        out.push_str(&if is_hash { "#".repeat(hash) } else { back[..hash].to_owned() });
        rest = after;
    }
    out + rest
}

/// How much a build has to build is up to the miniature nixpkgs; how a run is called, to the time.
fn counts(line: &str) -> String {
    if let Some((front, back)) = line.split_once(" · ") {
        let after = back.trim_start_matches(|it: char| it.is_ascii_digit());
        if after.starts_with(" built") {
            return format!("{front} · N built");
        }
        if after.starts_with(" b") && after.ends_with('…') {
            return format!("{front} · N b…");
        }
    }
    match line.split_once(".xtask/runs/") {
        Some((front, back)) => {
            format!("{front}.xtask/runs/RUN/{}", back.rsplit('/').next().unwrap_or_default())
        }
        None => line.to_owned(),
    }
}
