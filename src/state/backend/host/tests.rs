#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn a_glance_saves_looks_at_what_has_not_changed_and_hides_nothing() {
    let directory = std::env::temp_dir().join(format!("lifesigns-test-{}", uuid::Uuid::new_v4()));
    let store = HostStore::at(&directory.join("store"));
    assert!(store.snapshot().is_none(), "not open yet");
    let entry = store.entry([7; 16]);
    let (mut writer, mut reader) = (Seen::default(), Seen::default());
    let write = |seen: &mut Seen, value: &[u8]| {
        store.update(&entry, seen, Duration::from_secs(1), &mut |_| Some(value.to_vec())).unwrap();
    };

    write(&mut writer, b"first");
    let before = store.snapshot();
    assert_eq!(store.read_if_changed(&entry, &mut reader, before.as_ref()).as_deref(), Some(b"first".as_slice()));
    assert_eq!(store.read_if_changed(&entry, &mut reader, before.as_ref()), None);

    write(&mut writer, b"second");
    assert_eq!(store.read_if_changed(&entry, &mut reader, before.as_ref()), None, "as it was then");
    let known = writer;
    assert_eq!(store.read_if_changed(&entry, &mut writer, before.as_ref()), None, "never back to what it was");
    assert_eq!(writer, known);
    let after = store.snapshot();
    assert_eq!(store.read_if_changed(&entry, &mut reader, after.as_ref()).as_deref(), Some(b"second".as_slice()));
    assert_eq!(reader, writer);

    std::fs::remove_dir_all(directory).unwrap();
}
