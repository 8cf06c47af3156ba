//! Results and embeddings as Parquet files, compressed with zstd.

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use effnet::{EmbeddingOutcome, EmbeddingRecord, Outcome, Record};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use crate::answers;

/// How many rows are in a group, which is what a writer and a reader hold in memory.
const GROUP: usize = 100_000;

/// The columns, in the order of [`COLUMNS`](super::COLUMNS).
const SCHEMA: &str = "message results {
    required binary image (string);
    required binary model (string);
    optional int32 rank;
    optional int32 index;
    optional binary synset (string);
    optional binary label (string);
    optional float probability;
    optional float logit;
    optional binary error (string);
";
/// The columns of [`answers::COLUMNS`].
const ANSWERS: &str = "
    optional binary answer (string);
    optional float answer_probability;
";

/// Writes the rows of the records.
pub(super) fn write<W: Write + Send>(
    out: W,
    records: impl Iterator<Item = Result<Record>>,
    answers: bool,
) -> Result<W> {
    let schema = format!("{SCHEMA}{}}}", if answers { ANSWERS } else { "" });
    let mut writer = begin(out, &schema, |properties| properties)?;
    let mut group = Group { answers, ..Group::default() };
    for record in records {
        group.add(record?);
        if group.image.len() >= GROUP {
            let next = Group { answers, ..Group::default() };
            std::mem::replace(&mut group, next).write(&mut writer)?;
        }
    }
    group.write(&mut writer)?;
    Ok(writer.into_inner()?)
}

fn begin<W: Write + Send>(
    out: W,
    schema: &str,
    more: impl FnOnce(WriterPropertiesBuilder) -> WriterPropertiesBuilder,
) -> Result<SerializedFileWriter<W>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("effnet ", env!("CARGO_PKG_VERSION")).to_owned());
    let properties = Arc::new(more(properties).build());
    Ok(SerializedFileWriter::new(out, Arc::new(parse_message_type(schema)?), properties)?)
}

type Cells<T> = Vec<Option<T>>;

/// The rows of a group, column by column.
#[derive(Default)]
struct Group {
    image: Cells<ByteArray>,
    model: Cells<ByteArray>,
    rank: Cells<i32>,
    index: Cells<i32>,
    synset: Cells<ByteArray>,
    label: Cells<ByteArray>,
    probability: Cells<f32>,
    logit: Cells<f32>,
    error: Cells<ByteArray>,
    /// Whether the columns of answers are written.
    answers: bool,
    answer: Cells<ByteArray>,
    answer_probability: Cells<f32>,
}

impl Group {
    fn add(&mut self, record: Record) {
        let text = |text: &str| Some(ByteArray::from(text));
        let number = |number: usize| i32::try_from(number).ok();
        let answer = answers::cells(&record);
        let sure = answer.as_ref().and_then(|[_, probability]| probability.parse().ok());
        let answer = answer.as_ref().and_then(|[answer, _]| text(answer));
        let lines = match &record.outcome {
            Outcome::Predictions(predictions) => predictions.len(),
            Outcome::Error(_) => 1,
        };
        self.answer.resize(self.answer.len() + lines, answer);
        self.answer_probability.resize(self.answer_probability.len() + lines, sure);
        let predictions = match record.outcome {
            Outcome::Predictions(predictions) => predictions,
            Outcome::Error(error) => {
                self.image.push(text(&record.image));
                self.model.push(text(&record.model));
                self.rank.push(None);
                self.index.push(None);
                self.synset.push(None);
                self.label.push(None);
                self.probability.push(None);
                self.logit.push(None);
                self.error.push(text(&error));
                return;
            }
        };
        for (i, prediction) in predictions.into_iter().enumerate() {
            self.image.push(text(&record.image));
            self.model.push(text(&record.model));
            self.rank.push(number(i + 1));
            self.index.push(number(prediction.index));
            self.synset.push(prediction.synset.as_deref().and_then(text));
            self.label.push(prediction.label.as_deref().and_then(text));
            self.probability.push(prediction.probability);
            self.logit.push(Some(prediction.logit));
            self.error.push(None);
        }
    }

    fn write<W: Write + Send>(self, writer: &mut SerializedFileWriter<W>) -> Result<()> {
        if self.image.is_empty() {
            return Ok(());
        }
        let mut group = writer.next_row_group()?;
        required(&mut group, self.image)?;
        required(&mut group, self.model)?;
        optional::<_, Int32Type>(&mut group, self.rank)?;
        optional::<_, Int32Type>(&mut group, self.index)?;
        optional::<_, ByteArrayType>(&mut group, self.synset)?;
        optional::<_, ByteArrayType>(&mut group, self.label)?;
        optional::<_, FloatType>(&mut group, self.probability)?;
        optional::<_, FloatType>(&mut group, self.logit)?;
        optional::<_, ByteArrayType>(&mut group, self.error)?;
        if self.answers {
            optional::<_, ByteArrayType>(&mut group, self.answer)?;
            optional::<_, FloatType>(&mut group, self.answer_probability)?;
        }
        group.close()?;
        Ok(())
    }
}

fn required<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    cells: Cells<ByteArray>,
) -> Result<()> {
    let values: Vec<ByteArray> = cells.into_iter().flatten().collect();
    if let Some(mut column) = group.next_column()? {
        column.typed::<ByteArrayType>().write_batch(&values, None, None)?;
        column.close()?;
    }
    Ok(())
}

fn optional<W: Write + Send, T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    cells: Cells<T::T>,
) -> Result<()> {
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let values: Vec<T::T> = cells.into_iter().flatten().collect();
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(&values, Some(&levels), None)?;
        column.close()?;
    }
    Ok(())
}

/// How many embeddings are in a group: 20 MB of 1280 features.
const EMBEDDINGS: usize = 4096;

const EMBEDDING_SCHEMA: &str = "message embeddings {
    required binary image (string);
    required binary model (string);
    optional group embedding (list) { repeated group list { required float element; } }
    optional binary error (string);
}";

/// Writes embeddings as they come.
pub(in super::super) struct Embeddings<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    image: Cells<ByteArray>,
    model: Cells<ByteArray>,
    error: Cells<ByteArray>,
    values: Vec<f32>,
    /// Of the values: whether there is one, and whether it goes on with the list of the one before.
    levels: [Vec<i16>; 2],
}

impl<W: Write + Send> Embeddings<W> {
    pub(in super::super) fn begin(out: W) -> Result<Self> {
        let column = ColumnPath::from("embedding.list.element");
        // The bytes of floats by their significance: a tenth smaller after zstd than in order.
        let writer = begin(out, EMBEDDING_SCHEMA, |properties| {
            properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::BYTE_STREAM_SPLIT)
        })?;
        Ok(Self {
            writer,
            image: Vec::new(),
            model: Vec::new(),
            error: Vec::new(),
            values: Vec::new(),
            levels: Default::default(),
        })
    }

    pub(in super::super) fn write(&mut self, record: &EmbeddingRecord) -> Result<()> {
        let text = |text: &str| Some(ByteArray::from(text));
        self.image.push(text(&record.image));
        self.model.push(text(&record.model));
        let [defined, repeated] = &mut self.levels;
        match &record.outcome {
            EmbeddingOutcome::Embedding(row) => {
                self.error.push(None);
                self.values.extend(row);
                defined.resize(defined.len() + row.len(), 2);
                repeated.push(0);
                repeated.resize(defined.len(), 1);
            }
            EmbeddingOutcome::Error(error) => {
                self.error.push(text(error));
                defined.push(0);
                repeated.push(0);
            }
        }
        if self.image.len() >= EMBEDDINGS { self.group() } else { Ok(()) }
    }

    fn group(&mut self) -> Result<()> {
        if self.image.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        required(&mut group, std::mem::take(&mut self.image))?;
        required(&mut group, std::mem::take(&mut self.model))?;
        let [defined, repeated] = std::mem::take(&mut self.levels);
        if let Some(mut column) = group.next_column()? {
            let values = std::mem::take(&mut self.values);
            column.typed::<FloatType>().write_batch(&values, Some(&defined), Some(&repeated))?;
            column.close()?;
        }
        optional::<_, ByteArrayType>(&mut group, std::mem::take(&mut self.error))?;
        group.close()?;
        Ok(())
    }

    pub(in super::super) fn finish(mut self) -> Result<W> {
        self.group()?;
        Ok(self.writer.into_inner()?)
    }
}
