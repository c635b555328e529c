import asyncio


async def user_ids():
    for user_id in (3, 1, 4, 1, 5, 9, 2, 6):
        await asyncio.sleep(0.1)
        yield user_id


async def is_active(user_id):
    await asyncio.sleep(0.01)
    return user_id % 2 == 1


async def fetch_score(user_id):
    await asyncio.sleep(0.01)
    return user_id * 100


async def main():
    scores = [await fetch_score(user_id) async for user_id in user_ids() if await is_active(user_id)]
    print("list:", *scores)
    by_id = {user_id: await fetch_score(user_id) async for user_id in user_ids()}
    print("map:", *[f"{user_id}={by_id[user_id]}" for user_id in sorted(by_id)])
    active = {user_id async for user_id in user_ids() if await is_active(user_id)}
    print("set:", *sorted(active))


asyncio.run(main())
