//! Images in a column of a Parquet file: bytes, or the struct of `bytes` and `path` of Hugging Face
//! datasets.

use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;

use parquet::basic::{Repetition, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

use super::csv::{column, label_column};
use super::entries::Container;
use super::{Label, Sample, SampleImage, SourceOptions};

/// Usual names of a column of images, the usual one first.
const IMAGES: [&str; 6] = ["image", "img", "bytes", "jpg", "png", "image_bytes"];
/// How many rows are taken from the file at a time.
const ROWS: usize = 8;
/// The most bytes of an image, which is held in memory until it is decoded.
const MAX_IMAGE: usize = 64 << 20;

/// The images of a Parquet file.
pub(super) fn open(
    file: &Container,
    options: &SourceOptions,
) -> Box<dyn Iterator<Item = Sample> + Send> {
    match Rows::open(file, options) {
        Ok(rows) => Box::new(rows),
        Err(reason) => Box::new(std::iter::once(Sample::unreadable(&*file.name, reason))),
    }
}

/// Where the columns are that are read.
struct Columns {
    /// Of the images' bytes.
    bytes: usize,
    /// Of the paths that stand in for absent bytes.
    path: Option<usize>,
    label: Option<usize>,
    /// The names of the labels' numbers.
    names: Vec<String>,
}

struct Rows {
    file: Container,
    reader: SerializedFileReader<File>,
    columns: Columns,
    group: usize,
    open: Option<Group>,
    row: u64,
    ready: VecDeque<Sample>,
    is_over: bool,
}

/// The columns of a row group, read in step.
struct Group {
    bytes: Cells<ByteArrayType>,
    path: Option<Cells<ByteArrayType>>,
    label: Option<Labels>,
}

/// The cells of a column of a row group.
struct Cells<T: DataType> {
    reader: ColumnReaderImpl<T>,
    /// The definition level of a cell that has a value.
    defined: i16,
}

enum Labels {
    Int32(Cells<Int32Type>),
    Int64(Cells<Int64Type>),
    Text(Cells<ByteArrayType>),
}

impl<T: DataType> Cells<T> {
    /// The next cells, at most `most`.
    fn read(&mut self, most: usize) -> Result<Vec<Option<T::T>>, ParquetError> {
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let (records, ..) = self.reader.read_records(most, Some(&mut levels), None, &mut values)?;
        let mut values = values.into_iter();
        // Columns whose cells all have values have no levels.
        let cell = |row| match self.defined == 0 || levels.get(row) == Some(&self.defined) {
            true => values.next(),
            false => None,
        };
        Ok((0..records).map(cell).collect())
    }
}

impl Rows {
    fn open(file: &Container, options: &SourceOptions) -> Result<Self, String> {
        let opened = File::open(&file.path).map_err(|error| error.to_string())?;
        let reader = SerializedFileReader::new(opened).map_err(|error| error.to_string())?;
        let columns = Columns::find(&reader, options)?;
        Ok(Self {
            file: file.clone(),
            reader,
            columns,
            group: 0,
            open: None,
            row: 0,
            ready: VecDeque::new(),
            is_over: false,
        })
    }

    /// Reads some rows, if there are any.
    fn advance(&mut self) -> Result<(), ParquetError> {
        let group = match &mut self.open {
            Some(group) => group,
            None if self.group == self.reader.num_row_groups() => {
                self.is_over = true;
                return Ok(());
            }
            None => {
                let group = self.columns.group(&self.reader, self.group)?;
                self.group += 1;
                self.open.insert(group)
            }
        };
        let images = group.bytes.read(ROWS)?;
        if images.is_empty() {
            self.open = None;
            return Ok(());
        }
        let rows = images.len();
        let mut paths = match &mut group.path {
            Some(cells) => cells.read(rows)?,
            None => Vec::new(),
        };
        let mut labels = match &mut group.label {
            Some(labels) => labels.read(rows, &self.columns.names)?,
            None => Vec::new(),
        };
        paths.resize(rows, None);
        labels.resize(rows, None);
        let file = &self.file.name;
        for ((bytes, path), label) in images.into_iter().zip(paths).zip(labels) {
            let name = format!("{file}#{}", self.row);
            self.row += 1;
            let image = self.image(bytes, path.as_ref());
            self.ready.push_back(Sample { label, ..Sample::new(name, image) });
        }
        Ok(())
    }

    fn image(&self, bytes: Option<ByteArray>, path: Option<&ByteArray>) -> SampleImage {
        let path = path.and_then(|path| path.as_utf8().ok());
        match (bytes, path.filter(|path| !path.is_empty())) {
            (Some(bytes), _) if bytes.len() > MAX_IMAGE => SampleImage::Unreadable {
                reason: format!("the image has {} bytes, and may have 64 MiB", bytes.len()),
            },
            (Some(bytes), _) => SampleImage::Encoded(bytes.data().to_vec()),
            (None, Some(path)) => {
                SampleImage::File(self.file.path.parent().unwrap_or(Path::new("")).join(path))
            }
            (None, None) => SampleImage::Unreadable { reason: "this row has no image".to_owned() },
        }
    }
}

impl Iterator for Rows {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        while self.ready.is_empty() && !self.is_over {
            if let Err(error) = self.advance() {
                self.is_over = true;
                let reason = format!("the file cannot be read after row {}: {error}", self.row);
                self.ready.push_back(Sample::unreadable(&*self.file.name, reason));
            }
        }
        self.ready.pop_front()
    }
}

impl Columns {
    fn find(reader: &SerializedFileReader<File>, options: &SourceOptions) -> Result<Self, String> {
        let metadata = reader.metadata().file_metadata();
        let schema = metadata.schema_descr();
        let names: Vec<String> =
            schema.columns().iter().map(|column| column.path().string()).collect();
        let roots: Vec<&str> =
            schema.columns().iter().map(|c| c.path().parts()[0].as_str()).collect();
        let setting = "`SourceOptions::image_column`";
        let asked = options.image_column.as_deref();
        let is_bytes = |at: &usize| is_flat(&schema.columns()[*at], &[Physical::BYTE_ARRAY]);
        let found = column(&roots, asked, &IMAGES, setting)?;
        let root = match found {
            Some(at) => roots[at],
            // The only struct of bytes and a path, or the only column of bytes.
            None => {
                let structs: Vec<&str> =
                    names.iter().filter_map(|name| name.strip_suffix(".bytes")).collect();
                match structs[..] {
                    [one] => one,
                    _ => {
                        return Err(format!(
                            "none of its columns ({}) has a usual name for images ({}): set \
                         `SourceOptions::image_column`",
                            names.join(", "),
                            IMAGES.join(", ")
                        ));
                    }
                }
            }
        };
        let leaf = |path: &str| names.iter().position(|name| name == path);
        let bytes = leaf(root).or_else(|| leaf(&format!("{root}.bytes"))).filter(is_bytes);
        let bytes = bytes.ok_or_else(|| {
            format!("its column `{root}` holds neither bytes nor a struct with `bytes`")
        })?;
        let path = leaf(&format!("{root}.path")).filter(is_bytes);
        let label = match options.labels {
            true => Some(label_column(&roots, options)?),
            false => None,
        };
        let kinds = [Physical::INT32, Physical::INT64, Physical::BYTE_ARRAY];
        if let Some(at) = label.filter(|at| !is_flat(&schema.columns()[*at], &kinds)) {
            return Err(format!("its column `{}` holds neither numbers nor text", names[at]));
        }
        let names = label.map(|at| class_names(metadata.key_value_metadata(), &names[at]));
        Ok(Self { bytes, path, label, names: names.unwrap_or_default() })
    }

    fn group(
        &self,
        reader: &SerializedFileReader<File>,
        number: usize,
    ) -> Result<Group, ParquetError> {
        let group = reader.get_row_group(number)?;
        let schema = group.metadata().schema_descr_ptr();
        let defined = |at: usize| schema.column(at).max_def_level();
        let text = |at: usize| match group.get_column_reader(at)? {
            ColumnReader::ByteArrayColumnReader(reader) => {
                Ok(Cells { reader, defined: defined(at) })
            }
            _ => Err(ParquetError::General("its row groups differ in type".to_owned())),
        };
        let label = |at: usize| -> Result<Labels, ParquetError> {
            Ok(match group.get_column_reader(at)? {
                ColumnReader::Int32ColumnReader(reader) => {
                    Labels::Int32(Cells { reader, defined: defined(at) })
                }
                ColumnReader::Int64ColumnReader(reader) => {
                    Labels::Int64(Cells { reader, defined: defined(at) })
                }
                _ => Labels::Text(text(at)?),
            })
        };
        Ok(Group {
            bytes: text(self.bytes)?,
            path: self.path.map(text).transpose()?,
            label: self.label.map(label).transpose()?,
        })
    }
}

impl Labels {
    fn read(&mut self, rows: usize, names: &[String]) -> Result<Vec<Option<Label>>, ParquetError> {
        let of_index = |index: i64| {
            let index = usize::try_from(index).ok()?;
            Some(Label { index: Some(index), name: names.get(index).cloned() })
        };
        Ok(match self {
            Self::Int32(cells) => {
                cells.read(rows)?.into_iter().map(|cell| of_index(cell?.into())).collect()
            }
            Self::Int64(cells) => {
                cells.read(rows)?.into_iter().map(|cell| of_index(cell?)).collect()
            }
            Self::Text(cells) => {
                let text = |cell: Option<ByteArray>| Label::from_text(cell?.as_utf8().ok()?);
                cells.read(rows)?.into_iter().map(text).collect()
            }
        })
    }
}

/// Whether a column has one cell per row, of one of these types.
fn is_flat(column: &ColumnDescriptor, kinds: &[Physical]) -> bool {
    column.max_rep_level() == 0
        && column.self_type().get_basic_info().repetition() != Repetition::REPEATED
        && kinds.contains(&column.physical_type())
}

/// The names of a column's numbers, as Hugging Face datasets write them into the file.
fn class_names(
    metadata: Option<&Vec<parquet::file::metadata::KeyValue>>,
    column: &str,
) -> Vec<String> {
    let text = metadata
        .and_then(|pairs| pairs.iter().find(|pair| pair.key == "huggingface")?.value.as_deref());
    let value: Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let names = value["info"]["features"][column]["names"].as_array().cloned().unwrap_or_default();
    names.iter().map(|name| name.as_str().unwrap_or_default().to_owned()).collect()
}
