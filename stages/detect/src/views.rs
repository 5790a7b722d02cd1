//! Small pictures of the subject with surroundings of their own, for models that the crop does not serve.

use shiren_contract::raster::Rgb8;
use shiren_models::face_view::face_view;
use shiren_models::liveness::ViewSize;
use shiren_models::{BoundingBox, Face};
use shiren_schemas::records::{Crop, FaceView};

use crate::{look, side_px};

/// The views of `face` (pixels of the whole picture) out of `pixels`, which are smaller by `factor`. One that cannot
/// be made is left out: who asked for it says so.
pub(crate) fn of(
    pixels: &Rgb8,
    face: &Face,
    [x, y]: [f32; 2],
    sizes: &[ViewSize],
) -> Vec<FaceView> {
    let here: BoundingBox = look::scaled(face, [x.recip(), y.recip()]).bbox;
    let view = |size: &ViewSize| {
        let view = face_view(pixels, &here, size.context, size.side_px)?;
        Some(FaceView {
            context: size.context,
            pixels: Crop {
                width: side_px(view.pixels.width()),
                height: side_px(view.pixels.height()),
                origin_x: view.origin[0] * x,
                origin_y: view.origin[1] * y,
                scale_x: view.scale[0] / x,
                scale_y: view.scale[1] / y,
                rgb: view.pixels.into_data(),
                sealed: None,
            },
        })
    };
    sizes.iter().filter_map(view).collect()
}
