//! Repositories of the local hub.

use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Who may read a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Public,
    Private,
    Gated,
}

#[derive(Debug, Clone)]
pub struct RepoFile {
    pub name: String,
    pub bytes: Vec<u8>,
    /// Whether it is on the storage host, like large files, and not in git.
    pub lfs: bool,
}

impl RepoFile {
    /// The ETag that the hub gives.
    pub fn etag(&self) -> String {
        if self.lfs {
            hex(&Sha256::digest(&self.bytes))
        } else {
            let header = format!("blob {}\0", self.bytes.len());
            hex(&Sha1::new_with_prefix(header).chain_update(&self.bytes).finalize())
        }
    }
}

/// A repository with one commit.
#[derive(Debug, Clone)]
pub struct Repo {
    pub id: String,
    pub access: Access,
    /// A branch or tag besides `main` at the same commit.
    pub branch: String,
    pub files: Vec<RepoFile>,
}

impl Repo {
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            access: Access::Public,
            branch: "release/1".to_owned(),
            files: Vec::new(),
        }
    }

    /// A repository with the configuration of an EfficientNet-B0; its weights are `size` arbitrary
    /// bytes.
    pub fn model(id: &str, size: usize) -> Self {
        let config = br#"{"architecture": "efficientnet_b0", "num_classes": 2}"#;
        let weights = arbitrary(size);
        Self::new(id).with("config.json", config).with("model.safetensors", &weights)
    }

    #[must_use]
    pub fn with(mut self, name: &str, bytes: &[u8]) -> Self {
        let large = [".safetensors", ".bin", ".pth"];
        let lfs = large.iter().any(|end| name.ends_with(end));
        self.files.retain(|file| file.name != name);
        self.files.push(RepoFile { name: name.to_owned(), bytes: bytes.to_vec(), lfs });
        self
    }

    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Reads a repository from a folder.
    pub fn from_folder(id: &str, folder: &Path) -> Self {
        let mut repo = Self::new(id);
        let mut entries: Vec<_> = folder.read_dir().unwrap().map(|e| e.unwrap().path()).collect();
        entries.sort();
        for path in entries.iter().filter(|path| path.is_file()) {
            let name = path.file_name().unwrap().to_str().unwrap();
            repo = repo.with(name, &std::fs::read(path).unwrap());
        }
        repo
    }

    pub fn file(&self, name: &str) -> Option<&RepoFile> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The commit, which depends on the content, as in git.
    pub fn commit(&self) -> String {
        let mut hasher = Sha1::new();
        for file in &self.files {
            hasher.update(&file.name);
            hasher.update(file.etag());
        }
        hex(&hasher.finalize())
    }
}

/// Bytes that neither compression nor coincidence can reproduce.
pub fn arbitrary(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ size as u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..size).map(|_| next()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
