/* The context switch of aarch64, after AAPCS64: x19 to x28, the frame pointer x29, the link register x30
   and the low halves of v8 to v15 belong to the callee.

   A suspended context is 160 bytes, from its stack pointer upwards:
       x19 ... x28, x29, x30 (where to go on), d8 ... d15 */

        .text
        .globl  skua__switch
        .hidden skua__switch
        .type   skua__switch, %function
        .align  4
/* void *skua__switch(void **save [x0], void *to [x1], void *value [x2]) -> x0 */
skua__switch:
        .cfi_startproc
        hint    #34             /* bti c */
        sub     sp, sp, #160
        .cfi_adjust_cfa_offset 160
        stp     x19, x20, [sp, #0]
        stp     x21, x22, [sp, #16]
        stp     x23, x24, [sp, #32]
        stp     x25, x26, [sp, #48]
        stp     x27, x28, [sp, #64]
        stp     x29, x30, [sp, #80]
        .cfi_rel_offset x29, 80
        .cfi_rel_offset x30, 88
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1          /* from here on: the other stack, of the same shape */
        mov     x0, x2
        ldp     x19, x20, [sp, #0]
        ldp     x21, x22, [sp, #16]
        ldp     x23, x24, [sp, #32]
        ldp     x25, x26, [sp, #48]
        ldp     x27, x28, [sp, #64]
        ldp     x29, x30, [sp, #80]
        ldp     d8, d9, [sp, #96]
        ldp     d10, d11, [sp, #112]
        ldp     d12, d13, [sp, #128]
        ldp     d14, d15, [sp, #144]
        add     sp, sp, #160
        .cfi_adjust_cfa_offset -160
        mov     x16, x30
        br      x16             /* x16: a jump that bti c allows; not ret, which would be mispredicted */
        .cfi_endproc
        .size   skua__switch, . - skua__switch

/* Where a fresh context starts: x19 holds the entry function, x0 the value. The unwinder is told that there
   is no caller. */
        .globl  skua__switch_start
        .hidden skua__switch_start
        .type   skua__switch_start, %function
        .align  4
skua__switch_start:
        .cfi_startproc
        .cfi_undefined x30
        hint    #34             /* bti c */
        mov     x29, #0
        mov     x30, #0
        blr     x19
        brk     #1
        .cfi_endproc
        .size   skua__switch_start, . - skua__switch_start

        .section .note.GNU-stack, "", %progbits
