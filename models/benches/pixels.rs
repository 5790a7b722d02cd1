//! What the chain does to pixels around the networks, at the sizes that it has there: a picture of 1000 px, the
//! detector's first look at 192 px, a crop of 384 px, a view of 160 px, the embedders' chips.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench: a panic is how it speaks, and its functions are Criterion's"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shiren_contract::raster::Rgb8;
use shiren_models::align::{self, ARCFACE_112, ChipTemplate, DLIB_150, Similarity};
use shiren_models::crop::{SIDE_FACTOR, context_crop};
use shiren_models::manifest::{Colour, Input, Layout};
use shiren_models::resample::{Region, Resampler};
use shiren_models::tensor::Normalisation;
use shiren_models::view::FloatRaster;
use shiren_models::{BoundingBox, Face};

const PICTURE_PX: u32 = 1000;
const NET_PX: u32 = 192;
const CROP_PX: u32 = 384;
const VIEW_PX: u32 = 160;
/// Longer side of the face in the picture.
const FACE_PX: f32 = 300.0;

/// Noise from a fixed seed: nothing here depends on what a picture shows.
fn picture(side: u32) -> Rgb8 {
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let bytes = side as usize * side as usize * 3;
    Rgb8::new(side, side, noise.take(bytes).collect()).unwrap()
}

/// A face of `side` pixels in the middle of a square picture, tilted by its landmarks.
fn face(picture: &Rgb8, side: f32) -> Face {
    let [x, y] = [picture.width(), picture.height()].map(|length| (length as f32 - side) / 2.0);
    let at = |dx: f32, dy: f32| [x + dx * side, y + dy * side];
    Face {
        bbox: BoundingBox {
            x1: x,
            y1: y,
            x2: x + side,
            y2: y + side,
        },
        landmarks: [
            at(0.30, 0.36),
            at(0.70, 0.40),
            at(0.50, 0.60),
            at(0.34, 0.78),
            at(0.64, 0.82),
        ],
        score: 0.9,
    }
}

fn normalisation() -> Normalisation {
    Normalisation::new(&Input {
        name: String::new(),
        layout: Layout::Nchw,
        colour: Colour::Rgb,
        size: [0, 0],
        mean: [127.5; 3],
        scale: 1.0 / 128.0,
    })
}

/// Values that a square of `side` has.
fn values(side: u32) -> Throughput {
    Throughput::Elements(u64::from(side) * u64::from(side) * 3)
}

fn resize(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pixels");
    let source = picture(PICTURE_PX);
    let mut resampler = Resampler::default();
    let mut out = Vec::new();
    group.bench_function("resize 1000 to 192, bytes", |bencher| {
        let size = (NET_PX, NET_PX);
        bencher.iter(|| {
            let region = Region::whole(black_box(&source));
            resampler.resize(&source, region, size, &mut out).unwrap();
        });
    });
    let scale = VIEW_PX as f32 / PICTURE_PX as f32;
    group.bench_function("floats of 1000, bordered", |bencher| {
        bencher.iter(|| FloatRaster::new(black_box(&source), scale));
    });
    let (floats, mut out) = (FloatRaster::new(&source, scale), Vec::new());
    let region = Region::of_pixels(0, 0, PICTURE_PX, PICTURE_PX);
    group.bench_function("resize 1000 to 160, floats", |bencher| {
        let size = (VIEW_PX, VIEW_PX);
        bencher.iter(|| {
            let floats = black_box(&floats);
            resampler
                .resize_floats(floats, region, size, &mut out)
                .unwrap();
        });
    });
    group.finish();
}

fn crop(criterion: &mut Criterion) {
    let source = picture(PICTURE_PX);
    let face = face(&source, FACE_PX);
    let mut group = criterion.benchmark_group("pixels");
    group.bench_function("crop 810 to 384", |bencher| {
        bencher.iter(|| context_crop(black_box(&source), &face, SIDE_FACTOR, CROP_PX).unwrap());
    });
    group.finish();
}

fn warp(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pixels");
    let crop = picture(CROP_PX);
    let landmarks = face(&crop, CROP_PX as f32 / SIDE_FACTOR).landmarks;
    let mut chip = Vec::new();
    let mut bench = |template: &ChipTemplate, samples: u32, words: &str| {
        let to_chip = Similarity::to_template(&landmarks, template).unwrap();
        let side = template.side;
        group.throughput(values(side));
        group.bench_function(format!("warp 384 to {side}{words}"), |bencher| {
            bencher.iter(|| align::warp(black_box(&crop), &to_chip, side, samples, &mut chip));
        });
    };
    // As the embedders do it, and as it would be with every source pixel counted.
    bench(&DLIB_150, 1, "");
    bench(&ARCFACE_112, 1, "");
    bench(&ARCFACE_112, 4, ", averaged");
    group.finish();
}

fn tensor(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pixels");
    let normalisation = normalisation();
    let mut planes = Vec::new();
    let (net, view) = ((NET_PX, NET_PX), (VIEW_PX, VIEW_PX));
    let bytes = picture(NET_PX).into_data();
    group.throughput(values(NET_PX));
    group.bench_function("fill a net of 192, bytes", |bencher| {
        bencher.iter(|| normalisation.fill(black_box(&bytes), net, (0, 0), net, &mut planes));
    });
    let floats =
        |side: u32| -> Vec<f32> { picture(side).data().iter().map(|v| (*v).into()).collect() };
    let pixels = floats(VIEW_PX);
    group.throughput(values(VIEW_PX));
    group.bench_function("fill a view of 160, floats", |bencher| {
        bencher.iter(|| normalisation.fill(black_box(&pixels), view, (0, 0), view, &mut planes));
    });
    for side in [DLIB_150.side, ARCFACE_112.side] {
        let pixels = floats(side);
        group.throughput(values(side));
        group.bench_function(format!("planes of a chip of {side}"), |bencher| {
            bencher.iter(|| normalisation.planes(black_box(&pixels), &mut planes));
        });
    }
    group.finish();
}

criterion_group! {
    name = pixels;
    config = Criterion::default().without_plots();
    targets = resize, crop, warp, tensor
}
criterion_main!(pixels);
