//! Embeddings as a NumPy file: a matrix of float32, and the images' names in a file beside it.

use std::ffi::OsString;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use effnet::unstable::{Replacement, file_name};

/// Bytes before the values, a multiple of 64 that has room for any shape (NumPy's format, version 1.0).
const HEADER: usize = 128;

/// Writes a matrix row by row.
pub(in super::super) struct Npy {
    paths: [PathBuf; 2],
    values: Replacement,
    names: Replacement,
    rows: u64,
    columns: usize,
}

impl Npy {
    pub(in super::super) fn begin(path: &Path, columns: usize) -> Result<Self> {
        let mut names = OsString::from(path);
        names.push(".txt");
        let paths = [path.to_owned(), PathBuf::from(names)];
        let begin = |path: &PathBuf| Replacement::begin(path).with_context(|| file_name(path));
        let (mut values, names) = (begin(&paths[0])?, begin(&paths[1])?);
        values.write_all(&[0; HEADER]).with_context(|| file_name(path))?;
        Ok(Self { paths, values, names, rows: 0, columns })
    }

    pub(in super::super) fn write(&mut self, name: &str, row: &[f32]) -> Result<()> {
        let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.values.write_all(&bytes).with_context(|| file_name(&self.paths[0]))?;
        writeln!(self.names, "{name}").with_context(|| file_name(&self.paths[1]))?;
        self.rows += 1;
        Ok(())
    }

    /// Puts both files in their places.
    pub(in super::super) fn finish(mut self) -> Result<()> {
        let (rows, columns) = (self.rows, self.columns);
        let shape = format!("({rows}, {columns})");
        let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let mut header = b"\x93NUMPY\x01\x00".to_vec();
        header.extend(((HEADER - 10) as u16).to_le_bytes());
        header.extend(format!("{text:<width$}\n", width = HEADER - 11).bytes());
        let values = &mut self.values;
        let headed = values.seek(SeekFrom::Start(0)).and_then(|_| values.write_all(&header));
        let [path, names] = &self.paths;
        headed.with_context(|| file_name(path))?;
        self.names.finish().with_context(|| file_name(names))?;
        self.values.finish().with_context(|| file_name(path))
    }
}
