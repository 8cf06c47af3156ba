//! What can be wrong with an architecture's description.

/// An architecture that cannot be described or resolved.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchError {
    /// A token of a block string is not in the grammar.
    #[error(
        "unknown token `{token}` in block string `{block}`: see effnet::arch::BlockDef for the grammar"
    )]
    UnknownToken {
        /// The token that was not understood.
        token: String,
        /// The whole block string.
        block: String,
    },
    /// A token of a block string has a value that is out of range or malformed.
    #[error("bad value in token `{token}` of block string `{block}`: {reason}")]
    BadValue {
        /// The offending token.
        token: String,
        /// The whole block string.
        block: String,
        /// What the token takes.
        reason: &'static str,
    },
    /// The same token appears twice in a block string.
    #[error("token `{token}` repeats an earlier one in block string `{block}`")]
    RepeatedToken {
        /// The second of the two tokens.
        token: String,
        /// The whole block string.
        block: String,
    },
    /// A token that the block's kind does not take.
    #[error("token `{token}` means nothing to a `{kind}` block, in block string `{block}`")]
    ForeignToken {
        /// The offending token.
        token: String,
        /// The block kind, the first token of the string.
        kind: &'static str,
        /// The whole block string.
        block: String,
    },
    /// A token that the block's kind needs is absent.
    #[error("block string `{block}` lacks `{token}`, which a `{kind}` block needs")]
    MissingToken {
        /// The absent token's letters.
        token: &'static str,
        /// The block kind.
        kind: &'static str,
        /// The whole block string.
        block: String,
    },
    /// Per-stage data whose length is not the number of stages.
    #[error("`{name}`: {what} has {got} entries for {stages} stages")]
    StageCount {
        /// The architecture.
        name: String,
        /// What has the wrong length.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The number of stages.
        stages: usize,
    },
    /// Channels that do not divide into the groups asked for.
    #[error("`{name}`: {channels} channels do not divide into groups of {group_size}")]
    GroupSize {
        /// The architecture.
        name: String,
        /// The number of channels.
        channels: usize,
        /// The group size that does not divide it.
        group_size: usize,
    },
    /// A mixed or conditional convolution combined with an option that timm does not build it with.
    #[error(
        "`{name}`: blocks of mixed or conditional convolutions take no aa_layer, mixed ones no group size"
    )]
    MixedConv {
        /// The architecture.
        name: String,
    },
    /// Attention heads whose channels do not add up to the block's.
    #[error("`{name}`: {num_heads} heads of {key_dim} do not make {channels} channels")]
    Heads {
        /// The architecture.
        name: String,
        /// Channels of the block.
        channels: usize,
        /// Number of heads.
        num_heads: usize,
        /// Channels of a head.
        key_dim: usize,
    },
    /// A scaling multiplier that is not a positive finite number, or gives an unusable network.
    #[error("`{name}`: {what} must be a positive number of at most {max}, not {value}")]
    Multiplier {
        /// The architecture.
        name: String,
        /// Which multiplier.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The largest value taken.
        max: f64,
    },
    /// A network without input channels.
    #[error("`{name}`: in_chans must be at least 1")]
    NoInputChannels {
        /// The architecture.
        name: String,
    },
    /// A pruned architecture whose depth was changed.
    #[error("`{name}` is pruned for {got} blocks in a stage and cannot be scaled to {blocks}")]
    PrunedDepth {
        /// The architecture.
        name: String,
        /// Blocks that the pruned channels are known for.
        got: usize,
        /// Blocks of the scaled stage.
        blocks: usize,
    },
    /// A pruned architecture with blocks that no pruned checkpoint has.
    #[error("`{name}`: only `ds` and `ir` blocks can be pruned")]
    PrunedKind {
        /// The architecture.
        name: String,
    },
}
