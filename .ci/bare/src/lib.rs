//! Compiles only if neither the core nor anything it needs brings in `std`.

#![no_std]

use meshos_core as _;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
