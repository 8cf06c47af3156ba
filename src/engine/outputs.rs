use super::EngineError;

/// The outputs of a run by name, in the order in which they were asked for.
#[derive(Debug, Clone, Default)]
pub struct Outputs(Vec<(String, Output)>);

/// One output, where the engine left it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Output {
    /// In this process's memory.
    Host(Array),
    /// A Candle tensor, on its device.
    #[cfg(feature = "candle")]
    Candle(candle_core::Tensor),
}

/// Values with a shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// The values, as many as the shape's product.
    pub data: Vec<f32>,
    /// The shape; the first dimension counts images.
    pub shape: Vec<usize>,
}

impl Outputs {
    /// The output of this name, if it was asked for.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Output> {
        self.0.iter().find(|output| output.0 == name).map(|output| &output.1)
    }

    /// Removes and returns the output of this name, with its values in this process's memory.
    ///
    /// # Errors
    ///
    /// An output that was not asked for, or a device that fails to return its values.
    pub fn take(&mut self, name: &str) -> Result<Array, EngineError> {
        match self.0.iter().position(|output| output.0 == name) {
            Some(at) => self.0.remove(at).1.into_array(),
            None => {
                let taps = self.0.iter().map(|output| output.0.clone()).collect();
                Err(EngineError::Output { output: name.to_owned(), taps })
            }
        }
    }
}

impl FromIterator<(String, Output)> for Outputs {
    fn from_iter<I: IntoIterator<Item = (String, Output)>>(outputs: I) -> Self {
        Self(outputs.into_iter().collect())
    }
}

impl IntoIterator for Outputs {
    type Item = (String, Output);
    type IntoIter = std::vec::IntoIter<(String, Output)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Array> for Output {
    fn from(array: Array) -> Self {
        Self::Host(array)
    }
}

impl Output {
    /// The shape; the first dimension counts images.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Host(array) => &array.shape,
            #[cfg(feature = "candle")]
            Self::Candle(tensor) => tensor.dims(),
        }
    }

    /// The values, brought to this process's memory as float32.
    ///
    /// # Errors
    ///
    /// A device that fails to return them.
    pub fn into_array(self) -> Result<Array, EngineError> {
        match self {
            Self::Host(array) => Ok(array),
            #[cfg(feature = "candle")]
            Self::Candle(tensor) => {
                let values = || tensor.flatten_all()?.to_dtype(candle_core::DType::F32)?.to_vec1();
                Ok(Array { data: values()?, shape: tensor.dims().to_vec() })
            }
        }
    }
}

impl Array {
    /// The values of each image.
    ///
    /// ```
    /// let logits = effnet::engine::Array { data: vec![1.0, 2.0, 3.0, 4.0], shape: vec![2, 2] };
    /// assert_eq!(logits.rows().last(), Some(&[3.0, 4.0][..]));
    /// ```
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.data.chunks_exact(self.shape[1..].iter().product::<usize>().max(1))
    }

    /// One image's part, with a first dimension of 1.
    pub(crate) fn image(&self, image: usize) -> Self {
        let data = self.rows().nth(image).unwrap_or_default().to_vec();
        let shape = std::iter::once(1).chain(self.shape[1..].iter().copied()).collect();
        Self { data, shape }
    }
}
