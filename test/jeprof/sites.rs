//! What: twenty places that allocate known amounts through generics that are
//! inlined into them; the same places and output as sites.h, in Rust.
//!   sites BYTES     about so many at each place
//!
//! Invariants: as there.
//!
//! Locking: none.
use std::io::Write;

const KEPT_MAX: usize = 1 << 20;

extern "C" {
    fn malloc_usable_size(block: *const u8) -> usize;
}

struct Kept {
    blocks: Vec<(*mut u8, usize)>,
    budget: usize,
}

#[inline(always)]
fn boxed<const BYTES: usize>() -> (*mut u8, usize) {
    let block = vec![0u8; BYTES].into_boxed_slice();
    (Box::into_raw(block) as *mut u8, BYTES)
}

#[inline(always)]
fn reserved<const BYTES: usize>() -> (*mut u8, usize) {
    let mut block = std::mem::ManuallyDrop::new(Vec::<u8>::with_capacity(BYTES));
    (block.as_mut_ptr(), block.capacity())
}

#[inline(always)]
fn text<const BYTES: usize>() -> (*mut u8, usize) {
    let mut block = std::mem::ManuallyDrop::new(String::with_capacity(BYTES));
    (block.as_mut_ptr(), block.capacity())
}

#[inline(always)]
fn fill<const BYTES: usize>(kept: &mut Kept, number: usize) {
    let count = (kept.budget / BYTES).max(1).min(KEPT_MAX);
    for _ in 0..count {
        kept.blocks.push(match number % 3 {
            0 => boxed::<BYTES>(),
            1 => reserved::<BYTES>(),
            _ => text::<BYTES>(),
        });
    }
    let mut blocks = 0;
    let mut bytes = 0;
    for (i, (block, capacity)) in kept.blocks.iter().enumerate() {
        if i % (number % 4 + 1) == 0 {
            blocks += 1;
            bytes += unsafe { malloc_usable_size(*block) };
        } else {
            drop(unsafe { Vec::from_raw_parts(*block, 0, *capacity) });
        }
    }
    kept.blocks.clear();
    // No formatted text: it would be one more allocation.
    let mut line = [0u8; 80];
    let mut rest = &mut line[..];
    writeln!(rest, "site_{:02} {} {}", number, blocks, bytes).unwrap();
    let left = rest.len();
    std::io::stdout().lock().write_all(&line[..80 - left]).unwrap();
}

macro_rules! sites {
    ($($name:ident $number:literal $bytes:literal;)*) => {
        $(#[no_mangle]
        #[inline(never)]
        extern "C" fn $name(kept: &mut Kept) {
            fill::<$bytes>(kept, $number);
        })*

        fn main() {
            let bytes = std::env::args().nth(1).map_or(65536, |a| a.parse().unwrap());
            let mut kept = Kept { blocks: Vec::with_capacity(KEPT_MAX), budget: bytes };
            // The buffer of the stream is made here.
            println!();
            $($name(&mut kept);)*
        }
    };
}

sites! {
    site_00 0 8; site_01 1 16; site_02 2 24; site_03 3 48; site_04 4 64;
    site_05 5 112; site_06 6 200; site_07 7 320; site_08 8 512; site_09 9 1000;
    site_10 10 2048; site_11 11 4000; site_12 12 8192; site_13 13 14336;
    site_14 14 40000; site_15 15 131072; site_16 16 300000;
    site_17 17 1048576; site_18 18 8388608; site_19 19 67108864;
}
