//! The begin of RTMP's handshake: what a client says first, and whether the answer is one (Adobe's specification 1.0, section 5.2). It
//! does not ask for a stream: a player would be one more viewer, and a live source may not be there yet.

/// The length of C0 and C1, and of S0 and S1.
pub const HELLO_BYTES: usize = 1 + 1536;

/// The version of RTMP in C0 and S0.
const VERSION: u8 = 3;

/// Returns C0 and C1: the version, then a time of 0, four zeros, and bytes whose content is free.
pub fn hello() -> Vec<u8> {
    let filling = (0_u8..=250).cycle().map(|byte| byte.wrapping_mul(7).wrapping_add(13)).take(HELLO_BYTES - 9);
    [VERSION].into_iter().chain([0; 8]).chain(filling).collect()
}

/// Whether these bytes, of which there may be too few, are S0 and S1. Errors: what they are instead.
pub fn judge_answer(answer: &[u8]) -> Result<(), String> {
    match answer {
        [] => Err("the server closed the connection during the handshake".to_owned()),
        [VERSION, rest @ ..] if rest.len() >= HELLO_BYTES - 1 => Ok(()),
        [VERSION, ..] => Err(format!("the handshake ended after {} of {HELLO_BYTES} bytes", answer.len())),
        [first, ..] => Err(format!("what answers does not speak RTMP: expected version {VERSION}, found the byte {first}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_is_of_version_3_and_1536_bytes() {
        let hello = hello();
        assert_eq!((hello.len(), &hello[..9]), (HELLO_BYTES, &[3, 0, 0, 0, 0, 0, 0, 0, 0][..]));
        assert_eq!(judge_answer(&hello), Ok(()));
        for (answer, words) in
            [(&b""[..], "closed"), (b"\x03abc", "after 4 of 1537 bytes"), (b"HTTP/1.1 400 Bad Request", "does not speak RTMP")]
        {
            let why = judge_answer(answer).expect_err("it is no handshake");
            assert!(why.contains(words), "{why}");
        }
    }
}
