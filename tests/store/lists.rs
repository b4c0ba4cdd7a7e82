//! The list of pages with which a start begins: written at a start (9 and 10 of the patches), and while others write (12); a page of it
//! becomes one of the table when it is first asked for (13).

use super::{ALONE, Model, SEGMENT, content, copy, open, try_copy};
use sled::{Batch, Db};
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::{fs, io, thread};

/// The names of the lists of pages in a store's directory.
fn lists(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("snap.")).collect()
}

/// A `store` whose log goes on behind its newest list, as a kill leaves it, and a copy that was `opened` since.
fn worked(seed: u64, commits: u32) -> (tempfile::TempDir, Model) {
    let directory = tempfile::tempdir().unwrap();
    let (place, opened) = (directory.path().join("store"), directory.path().join("opened"));
    let mut model = Model::new(&place, seed);
    for _ in 0..commits {
        model.commit();
    }
    copy(&place, &opened);
    drop(open(&opened).unwrap());
    (directory, model)
}

#[test]
fn nothing_is_written_over_at_a_start_before_its_list_of_pages_is_on_the_disk() {
    let _alone = ALONE.read();
    let (directory, model) = worked(11, 300);
    let (place, opened) = (directory.path().join("store"), directory.path().join("opened"));
    let before = fs::read(place.join("db")).unwrap();
    let refused = directory.path().join("refused");
    copy(&place, &refused);
    let in_the_way = refused.join(format!("{}.generating", lists(&opened)[0]));
    fs::create_dir(&in_the_way).unwrap();
    let error = open(&refused).unwrap_err();
    assert!(matches!(error, sled::Error::Io(_)), "{error}");
    let after = fs::read(refused.join("db")).unwrap();
    assert_eq!(after.len(), before.len());
    let changed = before.chunks(SEGMENT).zip(after.chunks(SEGMENT)).filter(|(before, after)| before != after).count();
    assert!(changed <= 1, "{changed} segments written to besides the one in which the log ends");
    fs::remove_dir(in_the_way).unwrap();
    model.assert_holds(&open(&refused).unwrap(), "once there is room for the list");
}

#[test]
fn a_list_of_pages_that_a_crash_cut_off_is_written_anew() {
    let _alone = ALONE.read();
    let (directory, model) = worked(12, 100);
    let (place, opened) = (directory.path().join("store"), directory.path().join("opened"));
    let [name] = &lists(&opened)[..] else { panic!("one list") };
    let list = fs::read(opened.join(name)).unwrap();
    // Of this list or of one before it that was longer.
    let longer = [&list[..], &list[..]].concat();
    for (of, left) in
        [(name.as_str(), &list[..0]), (name, &list[..list.len() / 2]), (name, &longer), ("snap.0", &longer)]
    {
        let killed = directory.path().join("killed");
        copy(&place, &killed);
        fs::write(killed.join(format!("{of}.generating")), left).unwrap();
        for start in 0..2 {
            let when = format!("{} bytes of {of}, start {start}", left.len());
            let store = open(&killed).unwrap_or_else(|error| panic!("{when}: {error}"));
            model.assert_holds(&store, &when);
        }
        assert_eq!(lists(&killed).len(), 1, "{:?}", lists(&killed));
        fs::remove_dir_all(&killed).unwrap();
    }
}

/// Writes until `commits` are made, with a list of pages every so many, each begun some commits before it is used.
fn listing(model: &mut Model, commits: u32) {
    for _ in 0..commits / 20 {
        (0..15).for_each(|_| model.commit());
        // A batch that is not written yet: the list tells of more than lies before it.
        let mut batch = Batch::default();
        (0..5).for_each(|n| model.put(&mut batch, format!("row{n}").into_bytes(), vec![n; 700]));
        model.store.apply_batch(batch).unwrap();
        let list = model.store.list_pages().unwrap();
        (0..5).for_each(|_| model.write());
        model.store.use_list(list).unwrap();
        model.synced();
    }
}

#[test]
fn a_start_reads_what_came_after_the_last_list() {
    /// What a round writes at least: without lists that much more would be unlisted after each.
    const ROUND: u64 = 800 << 10;
    let _alone = ALONE.read();
    let directory = tempfile::tempdir().unwrap();
    let (place, killed) = (directory.path().join("store"), directory.path().join("killed"));
    let mut model = Model::new(&place, 21);
    let mut before = 0;
    for round in 0..10 {
        listing(&mut model, 60);
        model.commit();
        assert!(model.store.unlisted() < ROUND, "{} bytes", model.store.unlisted());
        let [name] = &lists(&place)[..] else { panic!("{:?}", lists(&place)) };
        let at = u64::from_str_radix(name.strip_prefix("snap.").unwrap(), 16).unwrap();
        assert!(at > before + ROUND, "from {before} to {at}");
        before = at;
        copy(&place, &killed);
        model.assert_holds(&open(&killed).unwrap(), &format!("killed in round {round}"));
        fs::remove_dir_all(&killed).unwrap();
    }
    drop(model.store);
    model.store = open(&place).unwrap();
    model.assert_holds(&model.store, "in the end");
}

#[test]
fn a_list_is_made_and_used_while_others_write() {
    let _alone = ALONE.read();
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("store");
    let mut model = Model::new(&place, 22);
    let (store, over, used) = (model.store.clone(), AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                let list = store.list_pages().unwrap();
                store.use_list(list).unwrap();
                used.fetch_add(1, Relaxed);
            }
        });
        for round in 0..40 {
            (0..15).for_each(|_| model.commit());
            let killed = directory.path().join("killed");
            while let Err(error) = try_copy(&place, &killed) {
                assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
                fs::remove_dir_all(&killed).unwrap();
            }
            model.assert_holds(&open(&killed).unwrap(), &format!("killed in round {round}"));
            fs::remove_dir_all(&killed).unwrap();
        }
        over.store(true, Relaxed);
    });
    assert!(used.load(Relaxed) > 40, "only {} lists", used.load(Relaxed));
}

#[test]
fn a_list_that_is_not_used_leaves_nothing() {
    let _alone = ALONE.read();
    let (directory, mut model) = worked(24, 50);
    let place = directory.path().join("store");
    let before = lists(&place);
    drop(model.store.list_pages().unwrap());
    assert_eq!(lists(&place), before);
    model.commit();
    let list = model.store.list_pages().unwrap();
    model.store.use_list(list).unwrap();
    assert_eq!(lists(&place).len(), 1, "{:?}", lists(&place));
}

#[test]
fn a_list_that_tells_of_more_than_there_is_is_refused() {
    let _alone = ALONE.read();
    let (directory, mut model) = worked(23, 50);
    let place = directory.path().join("store");
    let before = fs::read(place.join("db")).unwrap();
    let mut batch = Batch::default();
    model.put(&mut batch, b"row1".to_vec(), vec![7; 900]);
    model.store.apply_batch(batch).unwrap();
    let list = model.store.list_pages().unwrap();
    model.store.use_list(list).unwrap();
    let whole = directory.path().join("whole");
    copy(&place, &whole);
    model.assert_holds(&open(&whole).unwrap(), "whole");
    // As no crash leaves it: what the list tells of was synced before it was used.
    let lost = directory.path().join("lost");
    copy(&place, &lost);
    fs::write(lost.join("db"), before).unwrap();
    let error = open(&lost).unwrap_err();
    assert!(matches!(error, sled::Error::Corruption { .. }), "{error}");
}

#[test]
fn pages_that_nobody_asked_for_are_listed_as_they_were() {
    let _alone = ALONE.read();
    let (directory, mut model) = worked(31, 300);
    for start in 0..4 {
        let place = directory.path().join(format!("start-{start}"));
        copy(&directory.path().join(if start == 0 { "store".into() } else { format!("start-{}", start - 1) }), &place);
        model.store = open(&place).unwrap();
        // Some are asked for and written from the second start on, and none at the first.
        (0..start * 2).for_each(|_| model.commit());
        let list = model.store.list_pages().unwrap();
        model.store.use_list(list).unwrap();
        let killed = directory.path().join(format!("killed-{start}"));
        copy(&place, &killed);
        model.assert_holds(&open(&killed).unwrap(), &format!("start {start}"));
    }
}

#[test]
fn a_page_that_many_ask_for_first_is_one_page() {
    const THREADS: u64 = 4;
    let _alone = ALONE.read();
    let (directory, model) = worked(32, 200);
    for round in 0..60 {
        let place = directory.path().join(format!("round-{round}"));
        copy(&directory.path().join("store"), &place);
        let (store, begin) = (open(&place).unwrap(), Barrier::new(THREADS as usize));
        let keys = || model.content.keys().step_by(7);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (store, begin) = (store.clone(), &begin);
                scope.spawn(move || {
                    begin.wait();
                    for key in keys() {
                        store.insert([key, &b"/"[..], &[thread as u8]].concat(), &b"first"[..]).unwrap();
                    }
                });
            }
        });
        let mut expected = model.content.clone();
        for thread in 0..THREADS {
            expected.extend(keys().map(|key| ([key, &b"/"[..], &[thread as u8]].concat(), b"first".to_vec())));
        }
        store.flush().unwrap();
        for (when, found) in [("written", content(&store)), ("opened again", content(&reopened(store, &place)))] {
            assert!(found == expected, "round {round}, {when}: {} found, {} expected", found.len(), expected.len());
        }
    }
}

fn reopened(store: Db, place: &Path) -> Db {
    drop(store);
    open(place).unwrap()
}
