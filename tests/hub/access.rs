//! Private and gated repositories, unknown names, and where the token goes.

use super::*;
use test_hub::{Access, At, Fault, STRANGER, TOKEN};

const BAD: &str = "hf_wrongtoken987654321";

fn files_of(access: Access, token: Option<&str>) -> (Scene, Result<ModelFiles, HubError>) {
    let scene = Scene::new();
    scene.server.add(Repo::model(MODEL, SIZE).access(access));
    let mut builder = scene.builder();
    if let Some(token) = token {
        builder = builder.token(token).unwrap();
    }
    let hub = builder.build().unwrap();
    assert!(!format!("{hub:?}").contains("hf_"));
    let result = hub.model_files(MODEL, None);
    (scene, result)
}

#[test]
fn the_token_opens_what_it_may_and_stays_with_the_hub() {
    for access in [Access::Public, Access::Private, Access::Gated] {
        let (scene, files) = files_of(access, Some(TOKEN));
        scene.assert_complete(&files.unwrap());
        let log = scene.server.take_log();
        assert!(log.iter().any(|seen| seen.storage));
        for seen in log {
            let expected = (!seen.storage).then(|| format!("Bearer {TOKEN}"));
            assert_eq!(seen.authorization, expected, "{} {}", seen.method, seen.path);
        }
    }
}

#[test]
fn the_token_does_not_follow_a_redirect_to_another_host() {
    let scene = Scene::new();
    let elsewhere = format!("{}/org/b0/resolve/main/config.json", scene.server.storage_url());
    scene.server.fault(At::Head, "", Fault::Redirect(elsewhere), usize::MAX);
    let hub = scene.builder().token(TOKEN).unwrap().build().unwrap();
    // The redirect has the hub's headers, so the file is requested from where it points.
    assert!(hub.model_files(MODEL, None).is_err());
    let log = scene.server.take_log();
    assert!(log.iter().any(|seen| seen.storage), "{log:?}");
    assert!(log.iter().all(|seen| !seen.storage || seen.authorization.is_none()), "{log:?}");
}

#[test]
fn refusals_name_the_remedy_and_never_the_token() {
    let cases = [
        (Access::Private, None, "log in"),
        (Access::Private, Some(STRANGER), "the token in use has no access"),
        (Access::Private, Some(BAD), "refuses the token"),
        (Access::Gated, None, "accept its conditions at"),
        (Access::Gated, Some(STRANGER), "try again"),
    ];
    for (access, token, remedy) in cases {
        let (scene, result) = files_of(access, token);
        let error = result.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(MODEL) && text.contains(remedy), "{text}");
        assert!(!text.contains("hf_"), "{text}");
        // Asking again would change nothing.
        assert_eq!(scene.server.take_log().len(), 1);
        scene.assert_no_weights();
    }
}

#[test]
fn a_refusal_that_quotes_the_token_is_not_quoted() {
    let scene = Scene::new();
    let headers = vec![("x-error-message", "no entry for hf_testtoken0123456789")];
    scene.server.fault(At::Head, "", Fault::Status(403, headers), 1);
    let hub = scene.builder().token(TOKEN).unwrap().build().unwrap();
    let error = hub.model_files(MODEL, None).unwrap_err();
    assert!(error.to_string().contains("no entry for ***"), "{error}");
    assert!(!format!("{error:?}").contains(TOKEN));
}

#[test]
fn signatures_of_addresses_are_not_shown() {
    let scene = Scene::new();
    scene.server.fault(At::Storage, WEIGHTS, Fault::Status(403, vec![]), usize::MAX);
    let error = scene.files().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    let events = scene.events.0.lock().unwrap().join("\n");
    assert!(!events.contains("secret"), "{events}");
}

#[test]
fn unknown_names() {
    let scene = Scene::new();
    let hub = scene.hub();
    let error = hub.model_files("org/none", None).unwrap_err();
    assert!(matches!(error, HubError::NoRepo { .. }), "{error}");
    let error = hub.model_files("timm/efficientnet_b00.ra_in1k", None).unwrap_err();
    assert!(error.to_string().contains("did you mean efficientnet_b0"), "{error}");
    let error = hub.model_files(MODEL, Some("v2")).unwrap_err();
    assert!(matches!(error, HubError::NoRevision { .. }), "{error}");
    let error = hub.file(MODEL, None, "none.json", 100).unwrap_err();
    assert!(matches!(error, HubError::NoFile { .. }), "{error}");
    for bad in ["none", "a/b/c", "../x/y", "a/..", "org/b0@main"] {
        assert!(hub.model_files(bad, None).is_err(), "{bad}");
    }
    assert!(all_files(scene.cache.path()).is_empty());
}

#[test]
fn a_branch_with_a_slash_and_a_commit() {
    let scene = Scene::new();
    let commit = Repo::model(MODEL, SIZE).commit();
    for revision in ["release/1", commit.as_str()] {
        let files = scene.hub().model_files(MODEL, Some(revision)).unwrap();
        assert_eq!((files.commit.as_str(), files.revision.as_str()), (commit.as_str(), revision));
        scene.assert_complete(&files);
    }
}

#[test]
fn a_setting_that_cannot_be_used_is_named() {
    let builder = HubBuilder::new("cache");
    for endpoint in ["", "huggingface.co", "ftp://a", "https://user:password@a"] {
        let error = HubBuilder::new("cache").endpoint(endpoint).build().unwrap_err().to_string();
        assert!(error.starts_with("HF_ENDPOINT") && !error.contains("password"), "{error}");
    }
    assert!(builder.token("two words").is_err());
}
