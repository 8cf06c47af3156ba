//! Weights of timm's `tf_efficientnet_lite0.in1k` for the crate `effnet`, which loads them with its feature
//! `bundled`. Their origin, license and accuracy are in the README.

#![no_std]

/// A safetensors file, by timm's tensor names.
pub static TF_EFFICIENTNET_LITE0_IN1K: &[u8] =
    include_bytes!("tf_efficientnet_lite0.in1k.safetensors");
