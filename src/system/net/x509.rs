//! The issuer's name out of a certificate (X.690 DER, RFC 5280 §4.1). Reads; never judges whether to trust.

/// One DER element and what follows it.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

/// The issuer's common name, with its organisation where that says more: `R11 (Let's Encrypt)`.
#[must_use]
pub fn issuer(certificate: &[u8]) -> Option<String> {
    let outer = element(certificate).filter(|found| found.tag == 0x30)?;
    let mut fields = element(outer.content).filter(|found| found.tag == 0x30)?.content;
    // An explicit version is optional; then come serial number and signature algorithm.
    let mut next = element(fields)?;
    if next.tag == 0xA0 {
        fields = next.rest;
        next = element(fields)?;
    }
    let algorithm = element(next.rest)?;
    let mut names = element(algorithm.rest).filter(|found| found.tag == 0x30)?.content;
    let (mut common, mut organisation) = (None, None);
    while let Some(set) = element(names) {
        names = set.rest;
        let Some(pair) = element(set.content).filter(|found| found.tag == 0x30) else {
            continue;
        };
        let Some(kind) = element(pair.content).filter(|found| found.tag == 0x06) else {
            continue;
        };
        let value = element(kind.rest).map(|value| printable(value.content));
        match kind.content {
            [0x55, 0x04, 0x03] => common = value,
            [0x55, 0x04, 0x0A] => organisation = value,
            _ => {}
        }
    }
    match (common, organisation) {
        (Some(common), Some(organisation)) if !common.contains(&organisation) => Some(format!("{common} ({organisation})")),
        (Some(name), _) | (None, Some(name)) => Some(name),
        (None, None) => None,
    }
}

fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let (digits, after) = rest
            .split_at_checked(usize::from(first & 0x7F))
            .filter(|(digits, _)| digits.len() <= 4)?;
        rest = after;
        digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit))
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some(Element { tag, content, rest })
}

/// At most 64 characters that cannot disturb a terminal.
fn printable(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_nonsense_is_survived() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "Corp \u{1b}[31mRoot");
        parameters.distinguished_name.push(rcgen::DnType::OrganizationName, "Example");
        let certificate = parameters.self_signed(&key).unwrap();
        let der = certificate.der();
        assert_eq!(issuer(der).as_deref(), Some("Corp [31mRoot (Example)"));
        for length in 0..der.len() {
            assert_eq!(issuer(&der[..length]), None, "cut at {length}");
        }
        assert_eq!(issuer(&[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]), None);
    }
}
