// Prints the text in an image, with the C library declared by hand as any language's FFI would.
//
//     rustc recognize.rs -L /usr/local/lib -l crispvl
//     ./recognize MODEL.gguf page.png
use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::{env, mem, process, ptr};

#[repr(C)]
struct LoadParams {
    struct_size: usize,
    path: *const c_char,
    mmproj: *const c_char,
    data: *const c_void,
    n_data_bytes: usize,
    mmproj_data: *const c_void,
    n_mmproj_data_bytes: usize,
    device: *const c_char,
    n_threads: i32,
    vocab_only: i32,
    exact: i32,
    no_mmap: i32,
}

#[repr(C)]
struct Image {
    path: *const c_char,
    data: *const c_void,
    n_bytes: usize,
    format: c_int,
    width_px: i32,
    height_px: i32,
    stride_bytes: usize,
}

extern "C" {
    fn crispvl_last_error() -> *const c_char;
    fn crispvl_load_params_init(params: *mut LoadParams, struct_size: usize);
    fn crispvl_model_load(params: *const LoadParams, out: *mut *mut c_void) -> c_int;
    fn crispvl_model_free(model: *mut c_void);
    fn crispvl_recognize(
        model: *const c_void,
        image: *const Image,
        params: *const c_void,
        out: *mut *mut c_void,
    ) -> c_int;
    fn crispvl_result_text(result: *const c_void) -> *const c_char;
    fn crispvl_result_free(result: *mut c_void);
}

unsafe fn text(string: *const c_char) -> String {
    CStr::from_ptr(string).to_string_lossy().into_owned()
}

unsafe fn recognize(model_path: &CStr, image_path: &CStr) -> Result<String, String> {
    let mut params: LoadParams = mem::zeroed();
    crispvl_load_params_init(&mut params, mem::size_of::<LoadParams>());
    params.path = model_path.as_ptr();
    let mut image: Image = mem::zeroed();
    image.path = image_path.as_ptr();

    let (mut model, mut result) = (ptr::null_mut(), ptr::null_mut());
    let mut status = crispvl_model_load(&params, &mut model);
    if status == 0 {
        status = crispvl_recognize(model, &image, ptr::null(), &mut result);
    }
    let answer = match status {
        0 => Ok(text(crispvl_result_text(result))),
        _ => Err(text(crispvl_last_error())),
    };
    crispvl_result_free(result);
    crispvl_model_free(model);
    answer
}

fn main() {
    let paths: Vec<CString> = env::args().skip(1).map(|path| CString::new(path).unwrap()).collect();
    let [model, image] = paths.as_slice() else {
        eprintln!("usage: recognize MODEL.gguf IMAGE");
        process::exit(2);
    };
    match unsafe { recognize(model, image) } {
        Ok(text) => println!("{text}"),
        Err(message) => {
            eprintln!("{message}");
            process::exit(1);
        }
    }
}
