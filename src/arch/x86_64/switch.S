/* The context switch of x86-64, after the System V psABI: rbx, rbp and r12 to r15 belong to the callee.

   A suspended context, from its stack pointer upwards: the address to go on at, and then what the code there
   expects; here r15  r14  r13  r12  rbx  rbp  return address.

   endbr64 is there since both ends are reached by indirect jumps. Shadow stacks are not supported;
   the property note below says so (IBT only), and the linker then turns them off for the program. */

        .text
        .globl  skua__switch
        .hidden skua__switch
        .type   skua__switch, @function
        .align  16
/* void *skua__switch(void **save [rdi], void *to [rsi], void *value [rdx]) -> rax */
skua__switch:
        .cfi_startproc
        endbr64
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        leaq    1f(%rip), %rcx
        pushq   %rcx
        .cfi_adjust_cfa_offset 8
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp      /* from here on: the other stack */
        movq    %rdx, %rax
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        jmpq    *%rcx
1:      endbr64
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register rip, rcx
        jmpq    *%rcx
        .cfi_endproc
        .size   skua__switch, . - skua__switch

/* Where a fresh context starts: on its stack stands the entry function, in rax the value. The unwinder is told
   that there is no caller. The call leaves rsp 8 below a multiple of 16 at entry, as the ABI wants. */
        .globl  skua__switch_start
        .hidden skua__switch_start
        .type   skua__switch_start, @function
        .align  16
skua__switch_start:
        .cfi_startproc
        .cfi_undefined rip
        endbr64
        popq    %rbx
        movq    %rax, %rdi
        xorl    %ebp, %ebp
        callq   *%rbx
        ud2
        .cfi_endproc
        .size   skua__switch_start, . - skua__switch_start

        .section .note.GNU-stack, "", @progbits

        .section .note.gnu.property, "a"
        .align  8
        .long   4               /* size of the name "GNU" */
        .long   16              /* size of the property */
        .long   5               /* NT_GNU_PROPERTY_TYPE_0 */
        .string "GNU"
        .long   0xc0000002      /* GNU_PROPERTY_X86_FEATURE_1_AND */
        .long   4
        .long   1               /* IBT */
        .long   0
