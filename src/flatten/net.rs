//! IPv4 addresses as SysFlow has them: 32 bits in an int or long, lowest byte first (16777343 is 127.0.0.1).

use std::net::Ipv4Addr;

/// The address, whether the trace gave it signed or as a long.
pub fn address(ip: i64) -> Ipv4Addr {
    Ipv4Addr::from((ip as u32).to_le_bytes())
}

/// Dotted text.
pub fn dotted(ip: i64) -> String {
    address(ip).to_string()
}

/// Host byte order, so that ranges of addresses are ranges of numbers.
pub fn host_order(ip: i64) -> i64 {
    i64::from(u32::from(address(ip)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_byte_comes_first_and_signs_do_not_matter() {
        assert_eq!(dotted(16777343), "127.0.0.1");
        assert_eq!(host_order(16777343), 0x7f00_0001);
        assert_eq!(dotted(-1), "255.255.255.255");
        assert_eq!(dotted(i64::from(u32::MAX)), "255.255.255.255");
        assert_eq!(dotted(i64::from(0xc0a8_3b64_u32.swap_bytes() as i32)), "192.168.59.100");
    }
}
