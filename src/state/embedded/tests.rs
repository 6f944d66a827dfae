use super::*;

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new/er/state.redb");
    (folder, file)
}

fn entries(pairs: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
}

async fn text(store: &EmbeddedStore, key: &str) -> Option<String> {
    store.get(key).await.unwrap().map(|value| String::from_utf8(value).unwrap())
}

#[tokio::test]
async fn what_was_put_is_found() {
    let (_folder, file) = place();
    let store = EmbeddedStore::new(file.clone());
    store.put(entries(&[("a/1", "one"), ("a/2", "two"), ("b", "three"), ("a", "")])).await.unwrap();
    store.put(entries(&[("a/2", "two again")])).await.unwrap();

    let store = EmbeddedStore::new(file);
    assert_eq!(text(&store, "a/2").await.as_deref(), Some("two again"));
    assert_eq!(text(&store, "a").await.as_deref(), Some(""));
    assert_eq!(store.list("a/").await.unwrap(), ["a/1", "a/2"]);
    assert_eq!(store.list("").await.unwrap().len(), 4);
    let many = store.get_many(&["b".to_owned(), "c".to_owned(), "a/1".to_owned()]).await.unwrap();
    assert_eq!(many, [Some(b"three".to_vec()), None, Some(b"one".to_vec())]);
    store.delete(&["a/1".to_owned(), "nowhere".to_owned()]).await.unwrap();
    assert_eq!(text(&store, "a/1").await, None);
}

#[tokio::test]
async fn looking_makes_no_file() {
    let (folder, file) = place();
    let store = EmbeddedStore::new(file.clone());
    assert_eq!(text(&store, "a").await, None);
    assert_eq!(store.get_many(&["a".to_owned()]).await.unwrap(), [None]);
    assert!(store.list("").await.unwrap().is_empty());
    store.delete(&["a".to_owned()]).await.unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    store.put(entries(&[("a", "1")])).await.unwrap();
    let names: Vec<_> = fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names, [file], "nothing else is left beside it");
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_folder, file) = place();
    EmbeddedStore::new(file.clone()).put(entries(&[("a", "1")])).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!(mode(file.parent().unwrap().parent().unwrap()), 0o700);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_use_it_at_once() {
    let (_folder, file) = place();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..4 {
        // each with its own handle, as separate processes have
        let store = EmbeddedStore::new(file.clone());
        tasks.spawn(async move {
            for number in 0..10 {
                store.put(entries(&[(&format!("{writer}/{number}"), "x")])).await.unwrap();
                assert_eq!(store.list(&format!("{writer}/")).await.unwrap().len(), number + 1);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(EmbeddedStore::new(file).list("").await.unwrap().len(), 40);
}

#[tokio::test]
async fn a_file_held_open_is_waited_for_and_then_named() {
    let (_folder, file) = place();
    let store = EmbeddedStore::with_patience(file.clone(), Duration::from_millis(200));
    store.put(entries(&[("a", "1")])).await.unwrap();

    let held = builder().open(&file).unwrap();
    let error = store.get("a").await.unwrap_err().to_string();
    assert!(error.contains("another process") && error.contains("state.redb"), "{error}");
    assert!(store.put(entries(&[("a", "2")])).await.is_err());

    let patient = EmbeddedStore::new(file);
    let release = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        drop(held);
    });
    assert_eq!(text(&patient, "a").await.as_deref(), Some("1"));
    release.join().unwrap();
}

#[tokio::test]
async fn a_writer_that_was_killed_leaves_the_last_commit() {
    let (folder, file) = place();
    let store = EmbeddedStore::new(file.clone());
    store.put(entries(&[("a", "1")])).await.unwrap();

    // the file as a kill in the middle of a transaction leaves it
    let database = builder().open(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(ENTRIES).unwrap().insert("a", "2".repeat(4 * CACHE_BYTES).as_bytes()).unwrap();
    let killed = folder.path().join("killed.redb");
    fs::copy(&file, &killed).unwrap();
    drop(transaction);
    drop(database);

    // to a process that has long been using the file, and to a new one
    assert_eq!(text(&store, "a").await.as_deref(), Some("1"));
    fs::copy(&killed, &file).unwrap();
    assert_eq!(text(&store, "a").await.as_deref(), Some("1"));
    let store = EmbeddedStore::new(killed.clone());
    assert_eq!(text(&store, "a").await.as_deref(), Some("1"));
    store.put(entries(&[("a", "3")])).await.unwrap();
    assert_eq!(text(&EmbeddedStore::new(killed), "a").await.as_deref(), Some("3"));
}

#[tokio::test]
async fn a_damaged_file_is_named_and_left_alone() {
    let (folder, file) = place();
    let store = EmbeddedStore::new(file.clone());
    store.put(entries(&[("a", &"1".repeat(200_000))])).await.unwrap();
    let whole = fs::read(&file).unwrap();

    let mut flipped = whole.clone();
    let at = flipped.windows(4).position(|bytes| bytes == b"1111").unwrap() + 100_000;
    flipped[at] ^= 1;
    let cut = whole[..whole.len() / 3].to_vec();
    for (name, bytes) in
        [("flipped", flipped), ("cut", cut), ("text", b"not a database".to_vec()), ("empty", Vec::new())]
    {
        let broken = folder.path().join(name);
        fs::write(&broken, &bytes).unwrap();
        let store = EmbeddedStore::new(broken.clone());
        let error = store.get("a").await.unwrap_err().to_string();
        assert!(error.contains("damaged") && error.contains(name), "{error}");
        let error = store.put(entries(&[("a", "2")])).await.unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
        assert_eq!(fs::read(&broken).unwrap().len(), bytes.len());
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("file");
    fs::write(&in_the_way, "").unwrap();
    let store = EmbeddedStore::new(in_the_way.join("state.redb"));
    let error = store.put(entries(&[("a", "1")])).await.unwrap_err().to_string();
    assert!(error.contains("file/state.redb"), "{error}");
}
