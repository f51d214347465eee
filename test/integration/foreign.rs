// What: a Rust program over the bindings of Debian's librust-jemalloc-sys-dev:
// every call of theirs, served by this library. foreign.sh builds and runs it.
extern crate jemalloc_sys;

use jemalloc_sys as je;
use std::ffi::{CStr, CString};
use std::mem::size_of;
use std::os::raw::{c_char, c_void};
use std::ptr::null_mut;

unsafe fn read<T: Default>(name: &str) -> T {
    let name = CString::new(name).unwrap();
    let mut value = T::default();
    let mut len = size_of::<T>();
    let error = je::mallctl(name.as_ptr(), &mut value as *mut T as *mut c_void,
        &mut len, null_mut(), 0);
    assert_eq!(error, 0, "{:?}", name);
    value
}

unsafe extern "C" fn count(opaque: *mut c_void, text: *const c_char) {
    *(opaque as *mut usize) += CStr::from_ptr(text).to_bytes().len();
}

fn main() {
    unsafe {
        let p = je::malloc(100);
        assert_eq!(je::malloc_usable_size(p), 112);
        let p = je::realloc(p, 5000);
        je::free(p);
        let p = je::calloc(10, 10);
        assert_eq!(*(p as *const u8), 0);
        je::free(p);
        let mut p: *mut c_void = null_mut();
        assert_eq!(je::posix_memalign(&mut p, 4096, 10), 0);
        assert_eq!(p as usize % 4096, 0);
        je::free(p);
        let p = je::aligned_alloc(64, 128);
        assert_eq!(p as usize % 64, 0);
        je::free(p);

        let arena: u32 = read("arenas.create");
        let flags = je::MALLOCX_ALIGN(1024) | je::MALLOCX_ZERO
            | je::MALLOCX_ARENA(arena as usize) | je::MALLOCX_TCACHE_NONE();
        let p = je::mallocx(3000, flags);
        assert_eq!(p as usize % 1024, 0);
        assert!(je::nallocx(3000, flags) >= 3000);
        let p = je::rallocx(p, 100000, flags);
        assert!(je::sallocx(p, 0) >= 100000);
        assert!(je::xallocx(p, 50000, 0, 0) >= 50000);
        je::sdallocx(p, je::sallocx(p, 0), je::MALLOCX_TCACHE_NONE());
        let tcache: u32 = read("tcache.create");
        let p = je::mallocx(10, je::MALLOCX_TCACHE(tcache as usize));
        je::dallocx(p, je::MALLOCX_TCACHE(tcache as usize));

        let name = CString::new("arenas.bin.0.size").unwrap();
        let mut mib = [0usize; 4];
        let mut depth = 4;
        assert_eq!(je::mallctlnametomib(name.as_ptr(), mib.as_mut_ptr(),
            &mut depth), 0);
        mib[2] = 7;
        let mut size = 0usize;
        let mut len = size_of::<usize>();
        assert_eq!(je::mallctlbymib(mib.as_ptr(), depth,
            &mut size as *mut usize as *mut c_void, &mut len, null_mut(), 0), 0);
        assert_eq!(size, 112);

        let mut printed = 0usize;
        je::malloc_stats_print(Some(count),
            &mut printed as *mut usize as *mut c_void, b"J\0".as_ptr() as *const c_char);
        assert!(printed > 1000);
        let version = CString::new("version").unwrap();
        let mut text: *const c_char = std::ptr::null();
        let mut len = size_of::<*const c_char>();
        assert_eq!(je::mallctl(version.as_ptr(),
            &mut text as *mut *const c_char as *mut c_void, &mut len,
            null_mut(), 0), 0);
        let wanted = std::env::args().nth(1).unwrap();
        assert_eq!(CStr::from_ptr(text).to_str().unwrap(), wanted);
    }
}
