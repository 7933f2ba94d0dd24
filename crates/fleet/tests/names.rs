//! What a host name, an address and a public key accept and refuse.

use fleet::{Address, HostName, PublicKey};

const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIML6kcinJcR394Cfb8a39BmCRrSNXXhOIMRX8bMiXLqb a@somewhere";
const OTHER: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPp6+GKPyYL/D37LEd6y6Y1lew8OuY5SVkB/vRx9UmSi b@somewhere";
const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCp7DL7jZmKazvs8hcjk9LBUL4sKQAgAWOP6ekr1vBSiRUkOqdg1gbFVdjzAQ2XwZvozRyOvBH2WFtS+7PHfMRhEdVNZ4cPw7YJrjP19a/m1cmztfIFsiITj9yQn3UmtTh59oscedY8rrZjc5b2dchBSo4gh6WVuMK6+NT6Sz5QLlARgpDv4eSXD4RvWJpE8eyA2jHkl+AvpIE6ZR56NyMSyTpfkZQMwA2wd0ysf3qseJsnC4Juy5dMYjbC/Qy9Ldji9FHs8SnBkVEeyRPFX+Wq/KkuvDJxdONjRH3H7tuWDVbAlw8vBjiEHmADWiFMr/J2OwcBE3EkHuskxtRnNQ/5 old laptop";

fn bare(key: &str) -> String {
    key.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn key(text: &str) -> PublicKey {
    PublicKey::new(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_host_name_is_a_dns_label_in_lower_case() {
    let longest = "a".repeat(63);
    let refused = [
        "",
        "-ocean",
        "-oProxyCommand=id",
        "ocean-",
        "-",
        "Ocean",
        "OCEAN",
        "ocean.mercury",
        "ocean.",
        "ocean_1",
        "ocean maia",
        " ocean",
        "ocean\n",
        "ocean\0",
        "../ocean",
        "root@ocean",
        "ocean:22",
        "ocean#x",
        "$(id)",
        "océan",
        &"a".repeat(64),
    ];
    for text in refused {
        let error = HostName::new(text).expect_err(text);
        assert_eq!(
            error.to_string(),
            format!("`{text}` is not a host name: lower-case letters, digits and inner dashes, at most 63")
        );
    }
    for text in ["o", "7", "ocean", "ocean-2", "2-ocean", "a--b", "xn--ocan-bpa", &longest] {
        assert_eq!(HostName::new(text).expect("a name").as_str(), text);
    }
}

#[test]
fn a_host_name_is_padded_as_text_is() {
    let name = HostName::new("maia").unwrap();
    assert_eq!(format!("[{name:>6}] [{name:<6}] [{name}]"), "[  maia] [maia  ] [maia]");
}

#[test]
fn an_address_holds_no_option_no_user_no_port_and_no_space() {
    let long_name = ["a".repeat(63).as_str(); 4].join(".");
    let refused = [
        "",
        ".",
        "-",
        "-oProxyCommand=id",
        "ocean.-mercury",
        "ocean.mercury.",
        ".mercury",
        "ocean..mercury",
        "root@ocean",
        "ocean:22",
        "100.64.0.6:22",
        "[::1]:22",
        "[::1]",
        "fe80::1%eth0",
        "ssh://ocean",
        "100.64.0.0/10",
        "ocean mercury",
        " ocean",
        "ocean ",
        "ocean\n",
        "ocean\t",
        "ocean,maia",
        "*",
        "!ocean",
        "oc?an",
        "|1|hash",
        "océan",
        "$(id)",
        &"a".repeat(64),
        &long_name,
    ];
    for text in refused {
        let error = Address::new(text).expect_err(text);
        assert_eq!(error.to_string(), format!("`{text}` is not an address: a DNS name or an IP address is"));
    }
    let accepted = [
        "ocean",
        "Ocean.Mercury",
        "ocean_1.mercury",
        "100.64.0.6",
        "::1",
        "fd7a:115c:a1e0::6",
        "::ffff:100.64.0.6",
        &"a".repeat(63),
        &long_name[..253],
    ];
    for text in accepted {
        assert_eq!(Address::new(text).expect("an address").as_str(), text);
    }
}

#[test]
fn a_public_key_that_age_or_ssh_could_not_use_is_refused_with_the_reason() {
    let begin = "it should begin with `ssh-ed25519 ` or `ssh-rsa `";
    let type_ = "age cannot encrypt to this type; use an ssh-ed25519 key";
    let base64 = "what follows the type is not base64";
    let cut = "it is cut off, or of another type than it says";
    let bare_key = bare(ED25519);
    let cases = [
        ("", begin),
        ("ocean", begin),
        ("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kdsf3tv9qqqs3", begin),
        ("ssh-dss AAAAB3NzaC1kc3M=", begin),
        ("SSH-ED25519 AAAA", begin),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", begin),
        ("from=\"10.0.0.1\" ssh-ed25519 AAAA", begin),
        ("ocean.mercury ssh-ed25519 AAAA", begin),
        ("ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY=", type_),
        ("sk-ssh-ed25519@openssh.com AAAA", type_),
        ("ssh-ed25519 AAAA…", base64),
        ("ssh-ed25519 PLACE_HOLDER", base64),
        ("ssh-ed25519", cut),
        ("ssh-ed25519 AAAA", cut),
        (&bare_key[..bare_key.len() - 4], cut),
        (&format!("{bare_key}AAAA"), cut),
        (&bare_key.replacen("ssh-ed25519", "ssh-rsa", 1), cut),
        (&bare(RSA).replacen("ssh-rsa", "ssh-ed25519", 1), cut),
    ];
    for (text, why) in cases {
        let shown: String = text.chars().take(24).collect();
        let error = PublicKey::new(text).expect_err(text);
        assert_eq!(error.to_string(), format!("`{shown}` is not a usable public key: {why}"), "{text}");
    }
}

#[test]
fn an_rsa_key_that_is_cut_off_is_refused() {
    let whole = bare(RSA);
    // In steps of four characters, so that the base64 is right wherever it is cut.
    for length in ("ssh-rsa AAAAB3NzaC1yc2EA".len()..whole.len()).step_by(4) {
        assert!(PublicKey::new(&whole[..length]).is_err(), "{length} of {} characters", whole.len());
    }
    assert!(PublicKey::new("ssh-rsa AAAAB3NzaC1yc2E=").is_err());
}

#[test]
fn a_public_key_is_one_line() {
    assert!(PublicKey::new(&format!("{ED25519}\n{OTHER}\n")).is_err());
    assert!(PublicKey::new(&format!("{}\n{OTHER}", bare(ED25519))).is_err());
    assert!(PublicKey::new(&ED25519.replacen(' ', "\n", 1)).is_err());
}

#[test]
fn a_public_key_is_the_same_whatever_its_comment() {
    let (whole, plain) = (key(ED25519), key(&bare(ED25519)));
    let renamed = key(&format!("  {}   root@ocean and more \n", bare(ED25519)));
    assert_eq!(whole, plain);
    assert_eq!(whole, renamed);
    assert_ne!(whole, key(OTHER));
    assert_ne!(whole, key(RSA));
    assert_eq!(whole.as_str(), ED25519);
    assert_eq!(renamed.as_str(), format!("{}   root@ocean and more", bare(ED25519)));
    for key in [whole, renamed] {
        assert_eq!(key.bare(), bare(ED25519));
    }
    assert_eq!(key(RSA).bare(), bare(RSA));
}

/// Captured from `ssh-keygen -lf` of OpenSSH 9.2: this crate starts no process, in its tests neither.
#[test]
fn a_fingerprint_is_what_ssh_keygen_shows() {
    let cases = [
        (ED25519, "SHA256:Roa4iO98NYol7SQNbprCDMTTbpazacwZcEwB8xhKXUg"),
        (OTHER, "SHA256:H5sUfg7XfuiJ8ZWjBT9CxFpB26TRAJ+cPpbWm065gmI"),
        (RSA, "SHA256:czyql5CJ3xwLosjcd69vG6iHJHgGC4FU7/uIK62wrEE"),
    ];
    for (text, fingerprint) in cases {
        assert_eq!(key(text).fingerprint(), fingerprint);
        assert_eq!(key(&bare(text)).fingerprint(), fingerprint);
    }
}
