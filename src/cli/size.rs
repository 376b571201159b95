//! Sizes in bytes, as people write them.

/// Reads `512MiB`, `1GiB`, `1.5G`, `800MB` or a number of bytes. `K`, `M`, `G`, `T` alone are powers of 1024.
///
/// # Errors
/// A sentence that shows the forms.
pub fn parse(text: &str) -> Result<u64, String> {
    let error = || format!("'{text}' is no size: give 512MiB, 1GiB, 1.5G or a number of bytes");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| error())?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024f64.powi(2),
        "g" | "gib" => 1024f64.powi(3),
        "t" | "tib" => 1024f64.powi(4),
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        _ => return Err(error()),
    };
    Ok((number * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_is_what_the_help_says() {
        use clap::CommandFactory;
        let command = crate::cli::Cli::command();
        let convert = command.find_subcommand("convert").unwrap();
        let memory = convert.get_arguments().find(|a| a.get_id() == "memory").unwrap();
        let usual: Vec<_> = memory.get_default_values().iter().map(|v| parse(v.to_str().unwrap())).collect();
        assert_eq!(usual, [Ok(crate::memory::Memory::USUAL.0 as u64)]);
    }

    #[test]
    fn sizes_as_people_write_them() {
        for (text, bytes) in [("1GiB", 1 << 30), ("512M", 512 << 20), ("1.5k", 1536), ("2 MB", 2_000_000), ("7", 7)] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        assert!(parse("much").is_err());
        assert!(parse("1X").is_err());
    }
}
