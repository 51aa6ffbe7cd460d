//! A list of apt, plain or compressed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let status = b"Package: p\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1-1\n\n";
    let lists =
        ["x_Packages", "x_Packages.lz4", "x_InRelease"].map(|name| format!("var/lib/apt/lists/{name}"));
    let mut files: Vec<(&str, &[u8])> = lists.iter().map(|path| (path.as_str(), data)).collect();
    files.push(("var/lib/dpkg/status", status));
    bartizan_fuzz::survey(&files);
});
